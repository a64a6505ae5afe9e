// A file that is written beside its final name and moved there when it is whole and durable.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/fs.h"
#include "base/io.h"

namespace cairn {

/// Threads: one. Without publish() the destructor removes what was written.
class NewFile {
 public:
  /// How it is going to be written: from front to back, or each part at its place.
  enum class Order : uint8_t { kAppend, kPlaced };
  /// Errors: kExists unless `force`, and for a folder; kNotFound where there is no folder for it.
  static Result<NewFile> create(Fs& fs, const std::string& path, bool force,
                                Order order = Order::kAppend);
  ~NewFile();
  NewFile(NewFile&& other) noexcept
      : fs_(other.fs_),
        path_(std::move(other.path_)),
        replaces_(other.replaces_),
        temporary_(std::exchange(other.temporary_, {})),
        writer_(std::move(other.writer_)),
        placed_(std::move(other.placed_)) {}
  NewFile& operator=(NewFile&&) = delete;

  /// REQUIRES: Order::kAppend.
  Status append(ByteSpan bytes) { return writer_->append(bytes); }
  /// REQUIRES: Order::kPlaced.
  Status write_at(uint64_t offset, ByteSpan bytes) { return placed_->write_at(offset, bytes); }
  /// Makes what was appended durable, under another name still. Nothing can be appended any more.
  Status seal();
  /// Seals it if need be. Errors: kExists when, without `force`, another file has taken the name
  /// meanwhile.
  Status publish();
  const std::string& path() const { return path_; }

 private:
  NewFile(Fs& fs, std::string path, bool replaces, std::string temporary)
      : fs_(fs), path_(std::move(path)), replaces_(replaces), temporary_(std::move(temporary)) {}

  Fs& fs_;
  std::string path_;
  bool replaces_ = false;
  std::string temporary_;  // empty when it has its name
  std::unique_ptr<AppendWriter> writer_;
  std::unique_ptr<File> placed_;
};

}  // namespace cairn
