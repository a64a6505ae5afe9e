#include "store/copy_counter.h"

namespace cairn {

bool CopyCounter::is_new_chunk(const Digest& digest, uint64_t decoded_bytes) {
  if (!chunks_.insert(digest).second) return false;
  decoded_bytes_ += decoded_bytes;
  return true;
}

bool CopyCounter::is_new_copy(const Copy& copy) {
  return copy.stored_bytes != 0 && copies_.insert({copy.pack, copy.offset}).second;
}

EncodingUsage CopyCounter::add(const Digest& digest, const Copy& copy) {
  const bool is_new = is_new_chunk(digest, copy.decoded_bytes);
  const bool counts = copy.stored_bytes == 0 ? is_new : is_new_copy(copy);
  return counts ? EncodingUsage::of(copy) : EncodingUsage();
}

EncodingUsage CopyCounter::add_inline(ByteSpan chunk) {
  if (!is_new_chunk(blake3(chunk), chunk.size())) return {};
  inline_bytes_ += chunk.size();
  return EncodingUsage::of_inline(chunk.size());
}

EncodingUsage CopyCounter::add_base(const Copy& copy) {
  return is_new_copy(copy) ? EncodingUsage::of(copy) : EncodingUsage();
}

}  // namespace cairn
