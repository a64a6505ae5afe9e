#include "gpu/twins.h"

#include <bit>

namespace cairn::gpu {

// Digests are spread already, unless somebody made them up.
static uint64_t hash_of(const Digest& digest, uint64_t bytes) {
  const uint64_t mixed = load_le<uint64_t>(digest.bytes) ^
                         std::rotl(load_le<uint64_t>(digest.bytes, 8), 16) ^
                         std::rotl(load_le<uint64_t>(digest.bytes, 24), 40) ^ bytes;
  return mixed * 0x9E37'79B9'7F4A'7C15;
}

Twins find_twins(std::span<const ExchangeUnit> units, std::span<const Digest> digests) {
  Twins twins;
  twins.numbers.assign(units.size(), Twins::kNone);
  // Open addressing, at most half full: half of the hash, so that few digests are looked at, and
  // the unit, of which one more than its number.
  const unsigned bits = static_cast<unsigned>(std::bit_width(units.size() | 1)) + 1;
  std::vector<uint64_t> table(size_t{1} << bits);
  const size_t mask = table.size() - 1;
  for (uint64_t unit = 0; unit < units.size(); ++unit) {
    const uint64_t hash = hash_of(digests[unit], units[unit].bytes);
    const uint64_t entry = hash << 32 | (unit + 1);
    size_t at = hash >> (64 - bits);
    for (; table[at] != 0; at = (at + 1) & mask) {
      if ((table[at] ^ entry) >> 32 != 0) continue;
      const uint64_t other = (table[at] & UINT32_MAX) - 1;
      if (units[other].bytes == units[unit].bytes && digests[other] == digests[unit]) {
        if (twins.numbers[other] == Twins::kNone) twins.numbers[other] = twins.count++;
        twins.numbers[unit] = twins.numbers[other];
        break;
      }
    }
    if (table[at] == 0) table[at] = entry;
  }
  return twins;
}

}  // namespace cairn::gpu
