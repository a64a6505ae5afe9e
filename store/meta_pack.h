// Metadata packs: manifests, schemas, pages, locators and locator tables of one session, written
// together and read one object at a time, each checked against its digest.
#pragma once

#include <vector>

#include "base/fs.h"
#include "store/file_id.h"
#include "store/file_pool.h"
#include "store/pack_format.h"

namespace cairn {

/// Collects objects in memory and writes them as metadata packs of one session.
/// Threads: one at a time.
class MetaWriter {
 public:
  enum class Mode : uint8_t {
    kWrite,
    kMeasure,  ///< touches no file: only stored_bytes() and metas_begun() count
  };

  MetaWriter(Fs& fs, std::string store_path, const SessionId& session, Mode mode = Mode::kWrite)
      : fs_(fs), store_path_(std::move(store_path)), session_(session), mode_(mode) {}

  /// Where the object will lie once finish() has succeeded.
  Result<Reference> add(ObjectKind kind, ByteSpan object);
  /// Makes everything added durable, names included. Nothing may be added afterwards.
  Status finish();
  /// Bytes of the packs so far: all of them after finish().
  uint64_t stored_bytes() const { return stored_bytes_; }
  /// What finish() will have written once one more object of this size was added.
  uint64_t sealed_bytes_after(uint64_t object_bytes) const;
  /// The same, pack by pack, in the order of their numbers.
  const std::vector<uint64_t>& pack_bytes() const { return pack_bytes_; }
  /// Packs that may exist: their numbers are 0 to this - 1.
  uint32_t metas_begun() const { return number_ + 1; }

 private:
  static constexpr uint64_t kFlushBytes = 32 * kMiB;

  Status flush();
  Status write_out(const FileId& file);

  Fs& fs_;
  const std::string store_path_;
  const SessionId session_;
  const Mode mode_;
  uint32_t number_ = 0;
  Bytes bytes_;
  std::vector<PackedObject> objects_;
  uint64_t stored_bytes_ = 0;
  std::vector<uint64_t> pack_bytes_;
};

/// The object's bytes. Errors: kNotFound when its file is gone; kCorrupt naming file and offset.
/// Threads: any.
Result<Bytes> read_object(FilePool& files, const Reference& reference);

}  // namespace cairn
