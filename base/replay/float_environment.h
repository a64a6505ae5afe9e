// Predictions must not depend on what the program around has set the processor to: flushing of
// denormals, another rounding mode, traps.
#pragma once

#ifdef __x86_64__
#include <xmmintrin.h>
#else
#include <cfenv>
#endif

namespace cairn {

/// Plain IEEE arithmetic in this thread, until the end of the scope. Code in the scope reaches its
/// arithmetic through calls that the compiler can not look into, so none is moved out of it.
class PlainFloats {
 public:
#ifdef __x86_64__
  PlainFloats() : before_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
  ~PlainFloats() { _mm_setcsr(before_); }
#else
  PlainFloats() {
    std::fegetenv(&before_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~PlainFloats() { std::fesetenv(&before_); }
#endif
  PlainFloats(const PlainFloats&) = delete;
  PlainFloats& operator=(const PlainFloats&) = delete;

 private:
#ifdef __x86_64__
  unsigned before_;
#else
  std::fenv_t before_;
#endif
};

}  // namespace cairn
