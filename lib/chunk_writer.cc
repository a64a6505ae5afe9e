#include "lib/chunk_writer.h"

#include <algorithm>

namespace cairn {

static constexpr int kSampledZstdLevel = 1;

/// zstd must save an eighth, or the copy stays raw: a raw copy loads faster.
static bool is_worth_it(size_t encoded_bytes, size_t decoded_bytes) {
  return encoded_bytes <= decoded_bytes - decoded_bytes / 8;
}

/// Whether a sample from the middle shrinks to half: bytes that do are worth zstd's time, dense
/// training state is not. Costs some microseconds a chunk.
static bool looks_compressible(ByteSpan decoded) {
  constexpr size_t kSampleBytes = 4 * kKiB;
  if (decoded.size() < 4 * kSampleBytes) return false;
  std::array<uint8_t, kSampleBytes / 2> room;
  const ByteSpan sample = decoded.subspan(decoded.size() / 2, kSampleBytes);
  return zstd_encode(sample, kSampledZstdLevel, room).has_value();
}

/// The record to fill in; nullptr when another thread has it in hand, or had.
ChunkRecord* ChunkWriter::claim(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  const auto [record, fresh] = records_.insert({digest, 0, 0, 0, 0, Encoding::kRaw});
  return fresh ? record : nullptr;
}

void ChunkWriter::settle(ChunkRecord& record, const Copy& copy, bool of_tensor) {
  const std::lock_guard lock(mutex_);
  record = {record.digest,     copy.offset,        copy.pack.number,
            copy.stored_bytes, copy.decoded_bytes, copy.encoding};
  if (!of_tensor) return;
  ++new_chunks_;
  new_bytes_ += copy.decoded_bytes;
}

Result<Copy> ChunkWriter::append(const Digest& digest, ByteSpan decoded, int zstd_level) {
  const auto decoded_bytes = static_cast<uint32_t>(decoded.size());
  if (is_zero(decoded)) return packs_.append({digest, Encoding::kZero, decoded_bytes, {}});
  if (zstd_level == 0 && looks_compressible(decoded)) zstd_level = kSampledZstdLevel;
  if (zstd_level != 0) {
    Bytes encoded(decoded.size());
    // An encoding that does not fit into the decoded size is an error of zstd and no use to us.
    const auto bytes = zstd_encode(decoded, zstd_level, encoded);
    if (bytes && is_worth_it(*bytes, decoded.size())) {
      return packs_.append(
          {digest, Encoding::kZstd, decoded_bytes, ByteSpan(encoded).first(*bytes)});
    }
  }
  return packs_.append({digest, Encoding::kRaw, decoded_bytes, decoded});
}

Status ChunkWriter::write(const Digest& digest, ByteSpan decoded, int zstd_level, bool of_tensor) {
  ChunkRecord* record = claim(digest);
  if (record == nullptr) return {};
  CAIRN_TRY(const Copy copy, append(digest, decoded, zstd_level));
  settle(*record, copy, of_tensor);
  return {};
}

void ChunkWriter::count_inline(size_t bytes) {
  const std::lock_guard lock(mutex_);
  ++new_chunks_;
  new_bytes_ += bytes;
}

void ChunkWriter::reuse(const Digest& digest, const Copy& copy) {
  const std::lock_guard lock(mutex_);
  auto at = std::find(foreign_.begin(), foreign_.end(), copy.pack);
  if (at == foreign_.end()) at = foreign_.insert(foreign_.end(), copy.pack);
  const auto number = static_cast<uint32_t>(at - foreign_.begin()) | kForeign;
  records_.insert(
      {digest, copy.offset, number, copy.stored_bytes, copy.decoded_bytes, copy.encoding});
}

Copy ChunkWriter::find(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const ChunkRecord& record = *records_.find(digest);
  const bool is_foreign = (record.pack & kForeign) != 0;
  const FileId pack =
      is_foreign ? foreign_[record.pack & ~kForeign] : FileId{session_, record.pack};
  return {pack, record.offset, record.stored_bytes, record.decoded_bytes, record.encoding, {}, {}};
}

std::vector<FileId> ChunkWriter::reused_packs() const {
  const std::lock_guard lock(mutex_);
  std::vector<FileId> packs = foreign_;
  std::sort(packs.begin(), packs.end());
  return packs;
}

}  // namespace cairn
