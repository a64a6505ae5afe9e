// What a BLAKE3 kernel does: the part of the tree that is arithmetic. base/digest.cc builds trees
// out of lanes; a kernel hashes some lanes side by side. Private to base/ and its tests. Files
// compiled for wider machines include this, so it holds no inline function: the linker could keep
// the wide copy of one for every machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cairn {

inline constexpr size_t kDigestWords = 8;
inline constexpr size_t kDigestValueBytes = 32;
inline constexpr size_t kDigestLanesMax = 16;
inline constexpr size_t kDigestBlockBytes = 64;
inline constexpr size_t kDigestLeafBytes = 1024;

/// The first 32 bits of the square roots' fractions of the first 8 primes (as in SHA-256).
inline constexpr uint32_t kDigestStart[kDigestWords] = {
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
/// How the words of a block are dealt again after each round.
inline constexpr uint8_t kDigestPermutation[16] = {2, 6,  3,  10, 7, 0,  4,  13,
                                                   1, 11, 12, 5,  9, 14, 15, 8};

enum DigestFlag : uint32_t {
  kDigestLeafStart = 1,
  kDigestLeafEnd = 2,
  kDigestParent = 4,
  kDigestRoot = 8,
};

/// One node of a tree: a leaf (up to 1024 bytes) or a parent (the 64 bytes of its two values).
struct DigestLane {
  const uint8_t* data;   ///< `bytes` of it
  uint8_t* value;        ///< kDigestValueBytes are written; may overlap no data of the call
  uint64_t counter;      ///< of the leaf in its input; 0 for parents
  uint32_t bytes;        ///< 0 to kDigestLeafBytes
  uint32_t flags;        ///< of every block
  uint32_t first_flags;  ///< more of the first block
  uint32_t last_flags;   ///< more of the last block
};

struct DigestKernel {
  const char* name;
  size_t lanes;  ///< most that one call of `hash` takes; it costs about the same for fewer
  /// REQUIRES: 1 <= count <= lanes. Fastest where all lanes have the same number of whole blocks.
  void (*hash)(const DigestLane* lanes, size_t count);
};

extern const DigestKernel kDigestPortable;
#if defined(__x86_64__)
extern const DigestKernel kDigestAvx2;
extern const DigestKernel kDigestAvx512;
#endif

/// Uses `kernel`, which lives as long as the program, from now on; for tests. Threads: any.
void use_digest_kernel(const DigestKernel& kernel);

}  // namespace cairn
