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
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return failed("open");
  struct stat info {};
  void* memory = MAP_FAILED;
  const bool known = fstat(descriptor, &info) == 0;
  const bool is_file = !known || S_ISREG(info.st_mode);
  if (known && is_file && info.st_size > 0) {
    memory = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_SHARED, descriptor, 0);
  }
  const int error = errno;
  ::close(descriptor);
  if (!is_file) {
    return fail(Code::kUsage, fmt::format("'{}' is no regular file", path),
                "write what it gives to a file first");
  }
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
