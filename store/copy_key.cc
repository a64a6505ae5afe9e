#include "store/copy_key.h"

#include "store/wire.h"

namespace cairn {

static uint64_t decoding_of(uint32_t decoded_bytes, Encoding encoding,
                            std::span<const Digest> bases, ByteSpan parameters) {
  if (encoding == Encoding::kRaw && bases.empty() && parameters.empty()) return 0;
  Bytes told;
  append_le(told, decoded_bytes);
  append_le(told, static_cast<uint8_t>(encoding));
  append_le(told, static_cast<uint8_t>(bases.size()));
  for (const Digest& base : bases) append_digest(told, base);
  append_bytes(told, parameters);
  return load_le<uint64_t>(blake3(told).bytes, 0);
}

CopyKey key_of(const Digest& digest, const Copy& copy, std::span<const Digest> bases) {
  return {digest, decoding_of(copy.decoded_bytes, copy.encoding, bases, copy.parameters),
          copy.stored_bytes};
}

CopyKey key_of(const PackedCopy& row) {
  return {row.digest, decoding_of(row.decoded_bytes, row.encoding, row.bases, row.parameters),
          row.stored_bytes};
}

}  // namespace cairn
