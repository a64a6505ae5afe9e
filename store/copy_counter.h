// Counts each stored copy, and each distinct chunk, once, however many tags and tensors meet them:
// for whom they are met first.
#pragma once

#include <unordered_set>
#include <utility>

#include "base/digest.h"
#include "store/encoding_usage.h"

namespace cairn {

/// A pack and an offset in it: where a copy that has stored bytes lies.
using CopySpot = std::pair<FileId, uint64_t>;
struct CopySpotHash {
  size_t operator()(const CopySpot& spot) const noexcept {
    return std::hash<FileId>()(spot.first) * 31 + spot.second;
  }
};

/// The answers are what was not counted before. Threads: one.
class CopyCounter {
 public:
  /// A copy that stands for a chunk. A chunk of which there are two copies counts with both.
  EncodingUsage add(const Digest& digest, const Copy& copy);
  EncodingUsage add_inline(ByteSpan chunk);
  /// A copy that others are made from, whatever its chunk is.
  EncodingUsage add_base(const Copy& copy);

  bool has(const CopySpot& spot) const { return copies_.contains(spot); }

  /// Distinct ones, bases left out.
  uint64_t chunks() const { return chunks_.size(); }
  uint64_t decoded_bytes() const { return decoded_bytes_; }
  uint64_t inline_bytes() const { return inline_bytes_; }

 private:
  struct DigestHash {
    size_t operator()(const Digest& digest) const noexcept {
      return load_le<uint64_t>(digest.bytes, 0);
    }
  };
  bool is_new_chunk(const Digest& digest, uint64_t decoded_bytes);
  /// Never one without stored bytes (zeros): it lies where the next one does.
  bool is_new_copy(const Copy& copy);

  std::unordered_set<Digest, DigestHash> chunks_;
  std::unordered_set<CopySpot, CopySpotHash> copies_;
  uint64_t decoded_bytes_ = 0;
  uint64_t inline_bytes_ = 0;
};

}  // namespace cairn
