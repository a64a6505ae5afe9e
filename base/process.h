// Which process this is, in words that another process on the same host can check.
#pragma once

#include <cstdint>
#include <string>

namespace cairn {

struct ProcessIdentity {
  std::string host;
  int64_t pid = 0;
  uint64_t start = 0;  ///< the kernel's start time of the process, in clock ticks since boot
};

ProcessIdentity this_process();
/// Whether there is a process of this number on this host, whoever's.
bool process_exists(int64_t pid);
/// Lets this process open as many files at once as it may be allowed to.
void raise_file_limit();
/// The kernel's start time of a process on this host; 0 when there is no such process, or where
/// the kernel does not tell.
uint64_t process_start(int64_t pid);

}  // namespace cairn
