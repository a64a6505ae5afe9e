// A file the user named as input, mapped for reading. Never for files of a store: a file that
// shrinks under a mapping ends the process with SIGBUS.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/descriptor.h"
#include "base/error.h"

namespace cairn {

struct Unmap {
  size_t bytes = 0;
  void operator()(const uint8_t* memory) const;
};

class MappedFile {
 public:
  static Result<MappedFile> open(const std::string& path);

  ByteSpan bytes() const { return {memory_.get(), memory_.get_deleter().bytes}; }

  /// Gives back the memory of what was read, which comes again from the file when it is read again:
  /// a large file takes no more of the process's memory than what is read between two calls.
  /// Threads: any, also while others read.
  void release() const;

  /// Whether nobody has written to the file since it was opened, as far as its size and time tell
  /// (the kernel's clock for it ticks every few milliseconds). Errors: kFailed, naming the file.
  Status check_unchanged() const;

 private:
  struct State {
    uint64_t bytes = 0;
    int64_t modified_ns = 0;
    bool operator==(const State&) const = default;
  };

  MappedFile(std::string path, Descriptor descriptor)
      : path_(std::move(path)), descriptor_(std::move(descriptor)) {}
  static Result<State> state_of(int descriptor, const std::string& path);

  std::string path_;
  Descriptor descriptor_;
  State state_;
  std::unique_ptr<const uint8_t, Unmap> memory_;
};

}  // namespace cairn
