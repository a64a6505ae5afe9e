// Durability, in order: (1) the folder meta/<aa> exists and its name is durable; (2) the file is
// created, written and synced; (3) its folder is synced. Only then may a root refer to it.
#include "store/meta_pack.h"

#include <fmt/format.h>

#include <algorithm>

namespace cairn {

/// A limit for damaged references, and so for writers.
static constexpr uint64_t kObjectBytesMax = kGiB;
static constexpr uint64_t kMetaBytesMax = 4 * kGiB;

Result<Reference> MetaWriter::add(ObjectKind kind, ByteSpan object) {
  if (object.size() > kObjectBytesMax) {
    return fail(Code::kFailed,
                fmt::format("one part of the tag's metadata would have {} bytes, more than the {} "
                            "allowed",
                            object.size(), kObjectBytesMax));
  }
  if (bytes_.size() > kFlushBytes) CAIRN_CHECK(flush());
  const FileId file{session_, number_};
  if (bytes_.empty()) {
    // Address space, not memory: growing would take both for a while.
    bytes_.reserve(kFlushBytes + kFlushBytes / 8);
    append_bytes(bytes_, encode_pack_header(FileKind::kMeta, file));
  }
  append_zeros_to(bytes_, 8);
  const PackedObject packed{kind, bytes_.size(), object.size(), blake3(object)};
  append_bytes(bytes_, object);
  objects_.push_back(packed);
  return Reference{file, packed.offset, packed.bytes, packed.digest};
}

Status MetaWriter::flush() {
  if (objects_.empty()) return {};
  const FileId file{session_, number_};
  append_zeros_to(bytes_, 8);
  append_bytes(bytes_, encode_meta_footer(file, objects_, bytes_.size()));
  if (mode_ == Mode::kWrite) CAIRN_CHECK(write_out(file));
  stored_bytes_ += bytes_.size();
  pack_bytes_.push_back(bytes_.size());
  bytes_.clear();
  objects_.clear();
  ++number_;
  return {};
}

Status MetaWriter::write_out(const FileId& file) {
  const std::string path = join_path(store_path_, relative_path(FileKind::kMeta, file));
  CAIRN_CHECK(make_in_folder(fs_, path, [&] { return create_and_sync(fs_, path, bytes_); }));
  return sync_in_folder(fs_, path);
}

uint64_t MetaWriter::sealed_bytes_after(uint64_t object_bytes) const {
  const auto table_of = [](uint64_t objects) {
    return objects * kPackRecordBytes + kPackTrailerBytes;
  };
  const uint64_t open = round_up(std::max<uint64_t>(bytes_.size(), kPackHeaderBytes), 8);
  if (bytes_.size() > kFlushBytes) {
    return stored_bytes_ + open + table_of(objects_.size()) +
           round_up(kPackHeaderBytes + object_bytes, 8) + table_of(1);
  }
  return stored_bytes_ + round_up(open + object_bytes, 8) + table_of(objects_.size() + 1);
}

Status MetaWriter::finish() { return flush(); }

static Result<Bytes> read_once(FilePool& files, const Reference& reference) {
  const std::string path = relative_path(FileKind::kMeta, reference.file);
  if (reference.bytes > kObjectBytesMax || reference.offset > kMetaBytesMax) {
    return fail(Code::kCorrupt, fmt::format("a reference into '{}' is damaged: {} bytes at {}",
                                            path, reference.bytes, reference.offset));
  }
  CAIRN_TRY(const auto file, files.open(FileKind::kMeta, reference.file));
  const auto damaged = [&] {
    return fail(Code::kCorrupt,
                fmt::format("'{}' is damaged at offset {}: {} bytes do not match their digest",
                            path, reference.offset, reference.bytes),
                "run 'cairn check'");
  };
  // No room is made for more than there is.
  CAIRN_TRY(const uint64_t file_bytes, file->size());
  if (reference.offset + reference.bytes > file_bytes) return damaged();
  Bytes bytes(reference.bytes);
  CAIRN_TRY(const size_t count, file->read_at(reference.offset, bytes));
  if (count != bytes.size() || blake3(bytes) != reference.digest) return damaged();
  return bytes;
}

Result<Bytes> read_object(FilePool& files, const Reference& reference) {
  auto bytes = read_once(files, reference);
  if (bytes || bytes.error().code != Code::kCorrupt || !files.is_remote()) return bytes;
  // On its way may have been mixed up what lies there whole.
  if (const auto file = files.open(FileKind::kMeta, reference.file)) {
    (*file)->distrust(reference.offset, reference.bytes);
  }
  files.drop(FileKind::kMeta, reference.file);
  return read_once(files, reference);
}

}  // namespace cairn
