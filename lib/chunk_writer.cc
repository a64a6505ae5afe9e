#include "lib/chunk_writer.h"

#include <algorithm>

#include "store/seal.h"

namespace cairn {

bool ChunkWriter::claim(const Digest& digest, bool for_any) {
  const std::lock_guard lock(mutex_);
  const bool fresh = records_.insert({digest, 0, 0, 0, 0, Encoding::kRaw}).second;
  if (fresh) return true;
  const auto sealed = sealed_.find(digest);
  if (for_any || sealed == sealed_.end() || !sealed->second.is_own) return false;
  // From now on the claimant's copy is the one to find.
  sealed_.erase(sealed);
  return true;
}

void ChunkWriter::count_new(size_t bytes, bool of_tensor) {
  if (progress_ != nullptr) progress_->new_bytes += bytes;
  if (!of_tensor) return;
  ++new_chunks_;
  new_bytes_ += bytes;
}

void ChunkWriter::settle(const Digest& digest, const Copy& copy, bool of_tensor) {
  const std::lock_guard lock(mutex_);
  ChunkRecord& record = *records_.insert({digest, 0, 0, 0, 0, Encoding::kRaw}).first;
  // A claimed record has no decoded bytes yet; one that was taken over was counted before.
  if (record.decoded_bytes == 0) count_new(copy.decoded_bytes, of_tensor);
  record = {digest,       copy.offset, copy.pack.number, copy.stored_bytes, copy.decoded_bytes,
            copy.encoding};
}

Status ChunkWriter::write_raw(const Digest& digest, ByteSpan decoded, bool of_tensor) {
  const auto decoded_bytes = static_cast<uint32_t>(decoded.size());
  CAIRN_TRY(const Copy copy, packs_.append({digest, Encoding::kRaw, decoded_bytes, decoded}));
  settle(digest, copy, of_tensor);
  return {};
}

Result<Copy> ChunkWriter::append(const Digest& digest, size_t decoded_bytes, EncodedChunk& chunk) {
  const Encoded& encoded = chunk.encoded;
  NewCopy copy{digest, encoded.encoding, static_cast<uint32_t>(decoded_bytes), encoded.stored,
               chunk.base_digests};
  copy.parameters = is_sealed(encoded.encoding)
                        ? seal_parameters(encoded.parameters, encoded.stored)
                        : encoded.parameters;
  return packs_.append(copy);
}

Status ChunkWriter::write(const Digest& digest, size_t decoded_bytes, EncodedChunk chunk,
                          bool of_tensor) {
  CAIRN_TRY(const Copy copy, append(digest, decoded_bytes, chunk));
  settle(digest, copy, of_tensor);
  if (!is_sealed(copy.encoding)) return {};
  const std::lock_guard lock(mutex_);
  sealed_[digest] = {{copy, std::move(chunk.bases)}, false};
  return {};
}

Result<ChunkCopy> ChunkWriter::write_own(const Digest& digest, size_t decoded_bytes,
                                         EncodedChunk chunk) {
  CAIRN_TRY(const Copy copy, append(digest, decoded_bytes, chunk));
  const ChunkCopy own{copy, std::move(chunk.bases)};
  const std::lock_guard lock(mutex_);
  const auto [record, fresh] =
      records_.insert({digest, copy.offset, copy.pack.number, copy.stored_bytes, copy.decoded_bytes,
                       copy.encoding});
  if (fresh) {
    count_new(decoded_bytes, true);
    sealed_[digest] = {own, true};
  }
  return own;
}

void ChunkWriter::count_inline(size_t bytes) {
  const std::lock_guard lock(mutex_);
  count_new(bytes, true);
}

void ChunkWriter::reuse(const Digest& digest, const Copy& copy) {
  const std::lock_guard lock(mutex_);
  auto at = std::find(foreign_.begin(), foreign_.end(), copy.pack);
  if (at == foreign_.end()) at = foreign_.insert(foreign_.end(), copy.pack);
  const auto number = static_cast<uint32_t>(at - foreign_.begin()) | kForeign;
  const auto [record, fresh] = records_.insert(
      {digest, copy.offset, number, copy.stored_bytes, copy.decoded_bytes, copy.encoding});
  if (fresh && is_sealed(copy.encoding)) sealed_[digest] = {{copy, {}}, false};
}

ChunkCopy ChunkWriter::find(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto sealed = sealed_.find(digest);
  if (sealed != sealed_.end()) return sealed->second.chunk;
  const ChunkRecord& record = *records_.find(digest);
  const bool is_foreign = (record.pack & kForeign) != 0;
  const FileId pack =
      is_foreign ? foreign_[record.pack & ~kForeign] : FileId{session_, record.pack};
  return {{pack, record.offset, record.stored_bytes, record.decoded_bytes, record.encoding, {}, {}},
          {}};
}

std::vector<FileId> ChunkWriter::reused_packs() const {
  const std::lock_guard lock(mutex_);
  std::vector<FileId> packs = foreign_;
  std::sort(packs.begin(), packs.end());
  return packs;
}

}  // namespace cairn
