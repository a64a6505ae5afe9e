#include "base/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace cairn {

void Unmap::operator()(const uint8_t* memory) const { munmap(const_cast<uint8_t*>(memory), bytes); }

Result<MappedFile> MappedFile::open(const std::string& path) {
  const auto failed = [&](std::string_view what) {
    return fail_errno(errno, fmt::format("cannot {} '{}'", what, path));
  };
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return failed("open");
  struct stat info {};
  void* memory = MAP_FAILED;
  const bool known = fstat(descriptor, &info) == 0;
  if (known && info.st_size > 0) {
    memory = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_SHARED, descriptor, 0);
  }
  const int error = errno;
  ::close(descriptor);
  MappedFile file;
  if (known && info.st_size == 0) return file;
  if (memory == MAP_FAILED) {
    errno = error;
    return failed("map");
  }
  file.memory_ = {static_cast<const uint8_t*>(memory), Unmap{static_cast<size_t>(info.st_size)}};
  return file;
}

}  // namespace cairn
