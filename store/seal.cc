#include "store/seal.h"

#include <algorithm>

namespace cairn {

static constexpr size_t kSealBytes = 8;

bool is_sealed(Encoding encoding) { return encoding > Encoding::kZstd && is_known(encoding); }

Bytes seal_parameters(ByteSpan parameters, ByteSpan stored) {
  Bytes sealed(parameters.begin(), parameters.end());
  const Digest digest = blake3(stored);
  sealed.insert(sealed.end(), digest.bytes.begin(), digest.bytes.begin() + kSealBytes);
  return sealed;
}

ByteSpan codec_parameters(const Copy& copy) {
  const ByteSpan all = copy.parameters;
  if (!is_sealed(copy.encoding)) return all;
  return all.first(all.size() - std::min(all.size(), kSealBytes));
}

Status check_seal(const Copy& copy, ByteSpan stored) {
  if (!is_sealed(copy.encoding)) return {};
  const ByteSpan all = copy.parameters;
  const Digest digest = blake3(stored);
  const bool fits =
      all.size() >= kSealBytes &&
      std::equal(digest.bytes.begin(), digest.bytes.begin() + kSealBytes, all.end() - kSealBytes);
  if (fits) return {};
  return fail(Code::kCorrupt, "the stored bytes do not match their seal");
}

Error decode_error(const Copy& copy, ByteSpan stored, const Error& met) {
  const Status sealed = check_seal(copy, stored);
  return sealed ? met : sealed.error();
}

}  // namespace cairn
