// Libraries that are opened when they are first needed, since a process may have to do without
// them.
#pragma once

#include <dlfcn.h>

#include <cstring>
#include <string>
#include <vector>

namespace cairn {

/// Why the last dlopen() of this thread failed.
inline std::string loader_reason() {
  const char* said = dlerror();
  return said == nullptr ? "no reason given" : said;
}

/// Takes functions out of a library, and remembers which it lacks.
class FunctionTaker {
 public:
  /// `handle`: of dlopen().
  explicit FunctionTaker(void* handle) : handle_(handle) {}

  /// `function`: a pointer to one; null where there is none of the name.
  template <class Function>
  void take(const char* name, Function& function) {
    void* address = dlsym(handle_, name);
    if (address == nullptr) lacking_.push_back(name);
    static_assert(sizeof address == sizeof function);
    std::memcpy(&function, &address, sizeof address);
  }

  const std::vector<const char*>& lacking() const { return lacking_; }

 private:
  void* handle_;
  std::vector<const char*> lacking_;
};

}  // namespace cairn
