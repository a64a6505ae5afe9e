// The column families of the index, with RocksDB's statuses turned into errors.
//
//   facts     "store_id", "commit", "chunks", "tables" (digest of the digests of the tag tables
//             that are in), and "session" + id: its chunks are in
//   tag       name -> tag entry
//   object    digest -> bytes of a manifest or schema
//   page      digests of a page and its locator -> empty: its chunks are in
//   chunk     bucket key -> records (store/index/chunk_records.h)
//   pack      number, big-endian -> file id
#pragma once

#include <rocksdb/db.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "store/index/chunk_records.h"

namespace cairn {

enum class Family : uint8_t { kFacts, kTag, kObject, kPage, kChunk, kPack };
inline constexpr std::array<const char*, 6> kFamilyNames = {"default", "tag",   "object",
                                                            "page",    "chunk", "pack"};

inline rocksdb::Slice slice(ByteSpan bytes) {
  const std::string_view text = as_text(bytes);
  return {text.data(), text.size()};
}

/// Threads: one at a time.
class RocksTables {
 public:
  /// Errors: kBusy, kNotFound (when not writable), kCorrupt.
  static Result<std::unique_ptr<RocksTables>> open(const std::string& path, bool writable);
  /// To write, or to read where another process writes. What cannot be read beside that one is
  /// being made, or has just been written anew: it is tried again, for some seconds.
  static Result<std::unique_ptr<RocksTables>> open_shared(const std::string& path);
  /// Removes all that open() has made.
  static Status destroy(const std::string& path);
  ~RocksTables();
  RocksTables(const RocksTables&) = delete;
  RocksTables& operator=(const RocksTables&) = delete;

  bool is_writable() const { return writable_; }

  /// nullopt: no such key.
  Result<std::optional<std::string>> get(Family family, const std::string& key);
  std::unique_ptr<rocksdb::Iterator> scan(Family family);
  /// Written in one step and synced.
  Status write(rocksdb::WriteBatch& batch);
  rocksdb::ColumnFamilyHandle* handle(Family family) const {
    return handles_[static_cast<size_t>(family)];
  }
  /// Adds sorted records as one ingested file of buckets. REQUIRES: sorted, none twice.
  Status ingest(const std::vector<ChunkRecord>& records);
  /// Adds records to a batch, each as a bucket of its own: for few of them.
  Status put(const std::vector<ChunkRecord>& records, rocksdb::WriteBatch& batch);
  /// Keeps what the next opening has to look at small, which RocksDB does for programs that stay.
  /// At most some tenths of a second. Does nothing when not writable.
  Status tidy();

 private:
  RocksTables(std::string path, bool writable) : path_(std::move(path)), writable_(writable) {}

  const std::string path_;
  const bool writable_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

}  // namespace cairn
