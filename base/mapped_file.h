// A file the user named as input, mapped for reading. Never for files of a store: a file that
// shrinks under a mapping ends the process with SIGBUS.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
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

 private:
  std::unique_ptr<const uint8_t, Unmap> memory_;
};

}  // namespace cairn
