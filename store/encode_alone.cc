#include "store/encode_alone.h"

#include "base/encodings/encode.h"
#include "store/seal.h"

namespace cairn {

static Encoded encode_alone(const Copy& old, ByteSpan decoded) {
  const ByteSpan parameters = codec_parameters(old);
  // Forged copies may have bases and nothing to say of items.
  const auto form = parameters.empty() ? std::nullopt : decode_item_form(parameters.front());
  if (form && decoded.size() % form->bytes == 0) {
    Encoded planes = encode_planes(decoded, *form, Effort::kBalanced);
    if (planes.stored.size() <= decoded.size() - decoded.size() / 16) return planes;
  }
  return {Encoding::kRaw, {}, Bytes(decoded.begin(), decoded.end())};
}

Result<Copy> store_alone(const Copy& old, const Digest& digest, ByteSpan decoded, PackWriter& packs,
                         const PackReader& reader) {
  const Encoded encoded = encode_alone(old, decoded);
  NewCopy copy{digest, encoded.encoding, old.decoded_bytes, encoded.stored};
  if (is_sealed(copy.encoding)) {
    copy.parameters = seal_parameters(encoded.parameters, encoded.stored);
  }
  CAIRN_TRY(Copy stored, packs.append(copy));
  AlignedBuffer room;
  CAIRN_CHECK(reader.decode_checked(stored, digest, encoded.stored, room));
  return stored;
}

}  // namespace cairn
