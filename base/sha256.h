// SHA-256 (FIPS 180-4) and HMAC (RFC 2104), for signatures that object stores ask for: of a few
// hundred bytes a request, over plain http of all that is written. Code of our own, since libcrypto
// would be linked into every training process for it. Data is named by base/digest.h, never by
// this.
#pragma once

#include <array>

#include "base/bytes.h"

namespace cairn {

struct Sha256Kernel;  // base/sha256_kernel.h

using Sha256Digest = std::array<uint8_t, 32>;

/// Takes bytes in any number of pieces. Threads: one at a time.
class Sha256 {
 public:
  Sha256();  ///< by the fastest kernel of this machine
  explicit Sha256(const Sha256Kernel& kernel) : kernel_(kernel) {}

  void update(ByteSpan bytes);
  /// Of all that was taken. REQUIRES: nothing is taken afterwards.
  Sha256Digest finish();

 private:
  const Sha256Kernel& kernel_;
  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> block_{};
  uint64_t bytes_ = 0;
};

Sha256Digest sha256(ByteSpan bytes);
Sha256Digest hmac_sha256(ByteSpan key, ByteSpan message);

}  // namespace cairn
