// The index's rows about chunks: where a digest is stored. Records are kept in buckets, many in one
// value, sorted: a value of many digests costs RocksDB far less than many values of one
// to write.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "base/bytes.h"
#include "store/chunk_table.h"

namespace cairn {

inline constexpr size_t kChunkRecordBytes = 56;

/// A bucket's key: the digests' first two bytes, then the generation that brought them, a number
/// drawn by chance: even after its log was lost an index overwrites no bucket.
std::string bucket_key(uint16_t prefix, uint64_t generation);
/// Of a key or of a digest: its first two bytes. REQUIRES: there are two.
uint16_t bucket_prefix(ByteSpan bytes);

void append_record(Bytes& bytes, const ChunkRecord& record);
/// REQUIRES: (at + 1) * kChunkRecordBytes <= bucket.size().
ChunkRecord record_at(ByteSpan bucket, size_t at);
/// The first record of a digest in a sorted bucket.
std::optional<ChunkRecord> find_record(ByteSpan bucket, const Digest& digest);

}  // namespace cairn
