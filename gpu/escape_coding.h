// Residuals as codes of W bits and what is too large for them: an item below 2^W - 1 is its own
// code; of others the code is 2^W - 1, and they follow less 2^W - 1 in a slab, those of a tile
// together and in order. With two bits these are the quads of docs/FORMAT.md, section 7.2; with one
// a map of the items that are not 0. For kernels.
#pragma once

#include "gpu/coded_memory.h"
#include "gpu/scan.h"
#include "gpu/transform_tile.h"

namespace cairn::gpu {

template <class T>
CAIRN_DEVICE uint64_t add_atomically(T* to, uint64_t value) {
  return atomicAdd(reinterpret_cast<unsigned long long*>(to),
                   static_cast<unsigned long long>(value));
}
template <class T>
CAIRN_DEVICE void or_atomically(T* to, uint64_t value) {
  atomicOr(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(value));
}

template <class U, unsigned kBits>
class EscapeCoding {
 public:
  static_assert(kBits == 1 || kBits == 2);
  struct Memory {
    alignas(16) uint8_t values[kTileBytes];
    BlockSumMemory<uint64_t, kTileWarps> sums;
    uint64_t offset;
  };

  CAIRN_DEVICE static void put(const CodedMemory& coded, const TileItems<U>& tile,
                               const ItemVector<U> (&residuals)[kTileRounds], Memory& memory) {
    unsigned codes[kTileRounds];
#pragma unroll
    for (unsigned round = 0; round < kTileRounds; ++round) {
      codes[round] = codes_of(residuals[round]);
      store_codes(coded, tile, round, codes[round]);
    }
    const Places places = places_of(codes, memory.sums);
    auto* const values = aligned<U>(memory.values);
#pragma unroll
    for (unsigned round = 0; round < kTileRounds; ++round) {
      if (escapes_among(codes[round]) == 0) continue;
      unsigned place = places.first[round];
#pragma unroll
      for (unsigned i = 0; i < kItems; ++i) {
        const U item = residuals[round].at(i);
        if (item >= kEscape) values[place++] = static_cast<U>(item - kEscape);
      }
    }
    const unsigned vectors = (places.all + kItems - 1) / kItems;
    if (places.all + threadIdx.x < vectors * kItems) values[places.all + threadIdx.x] = 0;
    if (threadIdx.x == 0) memory.offset = reserve(coded, tile, places.all);
    __syncthreads();
    // Where the slab is full nothing more is written; its state tells how much was asked for.
    const uint64_t offset = memory.offset;
    if (!fits(offset, 16 * uint64_t{vectors}, coded.slab_bytes)) return;
    for (unsigned i = threadIdx.x; i < vectors; i += kTileThreads) {
      aligned<uint4>(coded.slab + offset)[i] = aligned<uint4>(memory.values)[i];
    }
  }

  /// False, for all threads, when the tile's codes do not fit its run or its run the slab.
  CAIRN_DEVICE static bool take(const CodedMemory& coded, const TileItems<U>& tile,
                                ItemVector<U> (&residuals)[kTileRounds], Memory& memory) {
    unsigned codes[kTileRounds];
#pragma unroll
    for (unsigned round = 0; round < kTileRounds; ++round) {
      codes[round] = load_codes(coded, tile, round);
    }
    const Places places = places_of(codes, memory.sums);
    const EscapedRun run = coded.runs[tile.number];
    if (!is_sound(run, places.all, coded.slab_bytes)) {
      if (threadIdx.x == 0) or_atomically(&coded.state->damaged, 1);
      return false;
    }
    const auto* const values = aligned<const U>(coded.slab + run.offset);
#pragma unroll
    for (unsigned round = 0; round < kTileRounds; ++round) {
      unsigned place = places.first[round];
      residuals[round] = {};
#pragma unroll
      for (unsigned i = 0; i < kItems; ++i) {
        const unsigned code = codes[round] >> (kBits * i) & kEscape;
        const U more = code == kEscape ? values[place++] : U{0};
        residuals[round].put(i, static_cast<U>(code + more));
      }
    }
    return true;
  }

 private:
  static constexpr unsigned kItems = ItemVector<U>::kItems;
  static constexpr unsigned kEscape = (1u << kBits) - 1;
  static constexpr unsigned kVectorBits = kBits * kItems;   ///< codes of a thread in a round
  static constexpr unsigned kWordLanes = 32 / kVectorBits;  ///< lanes that share a word of codes

  CAIRN_DEVICE static unsigned codes_of(const ItemVector<U>& residuals) {
    unsigned codes = 0;
#pragma unroll
    for (unsigned i = 0; i < kItems; ++i) {
      const U item = residuals.at(i);
      codes |= (item < kEscape ? static_cast<unsigned>(item) : kEscape) << (kBits * i);
    }
    return codes;
  }
  CAIRN_DEVICE static unsigned escapes_among(unsigned codes) {
    if constexpr (kBits == 2) codes &= codes >> 1 & 0x55555555;
    return static_cast<unsigned>(__popc(codes));
  }

  /// The word of the chunk's codes that has those of a round.
  CAIRN_DEVICE static unsigned* code_word(const CodedMemory& coded, const TileItems<U>& tile,
                                          unsigned round) {
    const uint64_t word = (tile.first + tile.offset(round)) * kBits / 32;
    return aligned<unsigned>(coded.codes + tile.chunk.coded) + word;
  }
  /// Lanes beside each other join theirs to words. Words without an item are not there.
  CAIRN_DEVICE static void store_codes(const CodedMemory& coded, const TileItems<U>& tile,
                                       unsigned round, unsigned codes) {
    const unsigned lane = threadIdx.x % kWordLanes;
    unsigned word = codes << (kVectorBits * lane % 32);
#pragma unroll
    for (unsigned distance = 1; distance < kWordLanes; distance *= 2) {
      word |= __shfl_xor_sync(kWholeWarp, word, distance);
    }
    if (lane == 0 && tile.present(round) > 0) *code_word(coded, tile, round) = word;
  }
  CAIRN_DEVICE static unsigned load_codes(const CodedMemory& coded, const TileItems<U>& tile,
                                          unsigned round) {
    const unsigned bits = kBits * tile.present(round);
    if (bits == 0) return 0;
    const unsigned word = *code_word(coded, tile, round);
    return word >> (kVectorBits * (threadIdx.x % kWordLanes) % 32) & (0xffffffff >> (32 - bits));
  }

  /// Where the larger items of the thread's rounds have their places in the tile's run.
  struct Places {
    unsigned first[kTileRounds];
    unsigned all;
  };
  /// Waits for all threads of the block.
  CAIRN_DEVICE static Places places_of(const unsigned (&codes)[kTileRounds],
                                       BlockSumMemory<uint64_t, kTileWarps>& sums) {
    static_assert(kTileRounds == 4 && TileItems<U>::kItems / kTileRounds < 1u << 16);
    uint64_t found = 0;  // of each round, in 16 bits
#pragma unroll
    for (unsigned round = 0; round < kTileRounds; ++round) {
      found |= uint64_t{escapes_among(codes[round])} << (16 * round);
    }
    const BlockSum<uint64_t> scanned = block_sum(found, sums);
    Places places{{}, 0};
#pragma unroll
    for (unsigned round = 0; round < kTileRounds; ++round) {
      places.first[round] = places.all + (scanned.before >> (16 * round) & 0xffff);
      places.all += scanned.total >> (16 * round) & 0xffff;
    }
    return places;
  }

  CAIRN_DEVICE static uint64_t reserve(const CodedMemory& coded, const TileItems<U>& tile,
                                       unsigned count) {
    const uint64_t bytes = (uint64_t{count} * sizeof(U) + 15) / 16 * 16;
    const uint64_t offset = bytes == 0 ? 0 : add_atomically(&coded.state->slab_bytes, bytes);
    coded.runs[tile.number] = {offset, count};
    return offset;
  }
  CAIRN_DEVICE static bool is_sound(const EscapedRun& run, unsigned count, uint64_t slab_bytes) {
    return run.count == count && run.offset % 16 == 0 &&
           fits(run.offset, count * sizeof(U), slab_bytes);
  }
  CAIRN_DEVICE static bool fits(uint64_t offset, uint64_t bytes, uint64_t slab_bytes) {
    return offset <= slab_bytes && bytes <= slab_bytes - offset;
  }
};

}  // namespace cairn::gpu
