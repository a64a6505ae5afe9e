#include "base/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

namespace cairn {

void Unmap::operator()(const uint8_t* memory) const { munmap(const_cast<uint8_t*>(memory), bytes); }

Result<MappedFile::State> MappedFile::state_of(int descriptor, const std::string& path) {
  struct stat info {};
  if (fstat(descriptor, &info) != 0) {
    return fail_errno(errno, fmt::format("cannot look at '{}'", path));
  }
  if (!S_ISREG(info.st_mode)) {
    return fail(Code::kUsage, fmt::format("'{}' is no regular file", path),
                "write what it gives to a file first");
  }
  return State{static_cast<uint64_t>(info.st_size),
               info.st_mtim.tv_sec * int64_t{1'000'000'000} + info.st_mtim.tv_nsec};
}

Result<MappedFile> MappedFile::open(const std::string& path) {
  const auto failed = [&](std::string_view what) {
    return fail_errno(errno, fmt::format("cannot {} '{}'", what, path));
  };
  MappedFile file(path, Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)));
  if (file.descriptor_.number() < 0) return failed("open");
  CAIRN_TRY(file.state_, state_of(file.descriptor_.number(), path));
  const uint64_t bytes = file.state_.bytes;
  if (bytes == 0) return file;
  void* memory = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.descriptor_.number(), 0);
  if (memory == MAP_FAILED) return failed("map");
  file.memory_ = {static_cast<const uint8_t*>(memory), Unmap{bytes}};
  return file;
}

void MappedFile::release() const {
  if (memory_ == nullptr) return;
  // Only advice: without it the memory is given back when the file is closed.
  (void)madvise(const_cast<uint8_t*>(memory_.get()), bytes().size(), MADV_DONTNEED);
}

Status MappedFile::check_unchanged() const {
  CAIRN_TRY(const State now, state_of(descriptor_.number(), path_));
  if (now == state_) return {};
  return fail(Code::kFailed, fmt::format("'{}' was written to while it was read", path_),
              "try again when its writer is done");
}

}  // namespace cairn
