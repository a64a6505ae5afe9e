// Appending to a file at the speed of the disk: the caller fills staging buffers, a thread of the
// writer writes them, past the page cache where the file system can.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/buffer.h"
#include "base/fs.h"
#include "base/pipeline.h"

namespace cairn {

enum class WriteMode : uint8_t {
  kBehind,   ///< a thread of the writer writes, past the page cache where the file system can
  kThrough,  ///< what was appended is written by settle(): a process that is killed loses none of
             ///< it
};

/// Memory: kBuffers * kBufferBytes; kHeldBytes with kThrough. Errors stick: they surface at the
/// next call and at finish(). Threads: one at a time.
class AppendWriter {
 public:
  static constexpr uint64_t kBufferBytes = 4 * kMiB;
  static constexpr size_t kBuffers = 4;
  /// With kThrough longer pieces are written as they come, shorter ones by so much at once.
  static constexpr uint64_t kHeldBytes = 256 * kKiB;

  /// Creates `path`. `backlog`: bytes that wait for the disk are counted there; may be null.
  /// Errors: kExists.
  static Result<std::unique_ptr<AppendWriter>> create(Fs& fs, const std::string& path,
                                                      std::atomic<uint64_t>* backlog = nullptr,
                                                      WriteMode mode = WriteMode::kBehind);
  /// Closes without finishing: the file is left as far as it came.
  ~AppendWriter();
  AppendWriter(const AppendWriter&) = delete;
  AppendWriter& operator=(const AppendWriter&) = delete;

  Status append(ByteSpan data);
  /// Appends zeros up to a multiple of `alignment`.
  Status pad_to(uint64_t alignment);
  /// With kThrough: everything appended is in the file when it returns. Else nothing happens.
  Status settle();
  /// Bytes appended so far.
  uint64_t position() const;
  /// Writes what is left, sets the exact length and syncs the file (not its folder).
  Status finish();

 private:
  struct State;
  explicit AppendWriter(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace cairn
