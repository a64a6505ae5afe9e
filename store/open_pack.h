// One data pack while it grows.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "base/fs.h"
#include "base/io.h"
#include "store/locator.h"
#include "store/pack_format.h"

namespace cairn {

/// A copy to be stored: `stored` decodes by `encoding` to bytes with `digest`.
struct NewCopy {
  Digest digest;
  Encoding encoding = Encoding::kRaw;
  uint32_t decoded_bytes = 0;
  ByteSpan stored;  ///< borrowed for the call
  std::vector<Digest> bases = {};
  Bytes parameters = {};
};

/// Threads: one at a time. After an error only to be destroyed: the file is left as far as it came.
class OpenPack {
 public:
  /// Creates the file. `backlog`, `mode`: as of AppendWriter. Errors: kExists, kNoSpace, ...
  static Result<std::unique_ptr<OpenPack>> begin(Fs& fs, const std::string& store_path,
                                                 const FileId& file,
                                                 std::atomic<uint64_t>* backlog = nullptr,
                                                 WriteMode mode = WriteMode::kBehind);

  /// Where the copy will lie once seal() has succeeded. The bases of the result are the caller's to
  /// name: a locator counts them by page and slot.
  Result<Copy> append(const NewCopy& copy);
  /// All copies are in the file when it returns, where each is to be written through.
  Status settle() { return file_bytes_->settle(); }
  /// Writes the table and syncs the file and its folder. Nothing may be appended afterwards.
  Status seal();

  /// Bytes so far; after seal() those of the file.
  uint64_t bytes() const { return file_bytes_->position(); }
  /// Of the sealed file, with one more copy.
  uint64_t sealed_bytes_with(const NewCopy& copy) const;
  bool is_empty() const { return copies_.empty(); }

 private:
  OpenPack(Fs& fs, std::string path, const FileId& file, std::unique_ptr<AppendWriter> file_bytes)
      : fs_(fs), path_(std::move(path)), file_(file), file_bytes_(std::move(file_bytes)) {}

  Fs& fs_;
  const std::string path_;
  const FileId file_;
  std::unique_ptr<AppendWriter> file_bytes_;
  PackLayout layout_;
  std::deque<PackedCopy> copies_;  // tens of thousands: a vector would keep as many spare
};

}  // namespace cairn
