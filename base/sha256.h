// SHA-256 (FIPS 180-4) and HMAC (RFC 2104), for signatures that object stores ask for. Portable
// code of our own: what is signed is a few hundred bytes a request, and libcrypto would be linked
// into every training process for it. Data is named by base/digest.h, never by this.
#pragma once

#include <array>

#include "base/bytes.h"

namespace cairn {

using Sha256Digest = std::array<uint8_t, 32>;

/// Takes bytes in any number of pieces. Threads: one at a time.
class Sha256 {
 public:
  void update(ByteSpan bytes);
  /// Of all that was taken. REQUIRES: nothing is taken afterwards.
  Sha256Digest finish();

 private:
  void take_block(const uint8_t* block);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> block_{};
  uint64_t bytes_ = 0;
};

Sha256Digest sha256(ByteSpan bytes);
Sha256Digest hmac_sha256(ByteSpan key, ByteSpan message);

}  // namespace cairn
