// What a program around may have set the processor's floats to.
#pragma once

#include <cfenv>
#ifdef __x86_64__
#include <xmmintrin.h>
#endif

namespace cairn {

struct HostFloats {
  const char* name;
  unsigned flags = 0;  ///< of MXCSR: 0x8040 flushes subnormals, both results and operands
  int rounding = FE_TONEAREST;
};

inline constexpr HostFloats kHostFloats[] = {
    {"plain"}, {"flush to zero", 0x8040}, {"up", 0, FE_UPWARD}, {"to zero", 0x8000, FE_TOWARDZERO}};

class HostScope {
 public:
  explicit HostScope(const HostFloats& host) {
    std::fesetround(host.rounding);
#ifdef __x86_64__
    _mm_setcsr(_mm_getcsr() | host.flags);
#endif
    set_ = now();
  }
  ~HostScope() { std::fesetenv(FE_DFL_ENV); }
  HostScope(const HostScope&) = delete;
  HostScope& operator=(const HostScope&) = delete;

  bool is_unchanged() const { return now() == set_; }

 private:
  static unsigned now() {
#ifdef __x86_64__
    return _mm_getcsr() & ~0x3fu;  // but for the marks of what happened
#else
    return static_cast<unsigned>(std::fegetround());
#endif
  }
  unsigned set_ = 0;
};

}  // namespace cairn
