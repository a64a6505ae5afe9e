// What encodings do to many items at a time (docs/FORMAT.md, sections 7.1 to 7.3): residuals,
// planes, quads, casts. The portable kernel is the truth; wider ones are chosen at run time and
// give the same bytes. Private to base/ and its tests. Files compiled for wider machines include
// this, so it holds no inline function: the linker could keep the wide copy of one for every
// machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cairn {

/// What a kernel may read or write beyond the end of a buffer that is said to have slack.
inline constexpr size_t kItemSlack = 64;

struct ResidualCounts {
  size_t zeros = 0, ones = 0, twos = 0;
  uint64_t bits = 0;  ///< of all residuals, or-ed
};

inline constexpr unsigned kSizeClassesMost = 4;

/// Of each class of up to 65536 items: the bits of its items in words of 64, and how many of its
/// items lie before each word, which for words that there are not is all.
struct ClassMarks {
  // The cache line more keeps rows out of each other's sets.
  uint64_t words[kSizeClassesMost][1024 + 8];
  uint32_t before[kSizeClassesMost][1024 + 1 + 15];
};

/// Items are of 1, 2, 4 or 8 bytes at any alignment; buffers of one call do not overlap.
struct ItemKernel {
  const char* name;

  /// Residuals of `count` items to their prediction.
  ResidualCounts (*subtract)(const uint8_t* items, const uint8_t* prediction, size_t count,
                             unsigned item_bytes, bool is_float, uint8_t* residuals);
  /// `items` holds the prediction before and what the residuals make of it after.
  void (*correct)(const uint8_t* residuals, size_t count, unsigned item_bytes, bool is_float,
                  uint8_t* items);

  /// Plane p begins at planes + p * stride. REQUIRES: item_bytes > 1.
  void (*split)(const uint8_t* items, size_t count, unsigned item_bytes, uint8_t* planes,
                size_t stride);
  /// REQUIRES: item_bytes > 1, as many planes.
  void (*join)(const uint8_t* const* planes, size_t count, unsigned item_bytes, uint8_t* items);

  /// Two bits for each residual, and those above 2, less 3. Returns how many these are.
  /// REQUIRES: slack at the end of `larger`, which has room for `count`.
  size_t (*pack_quads)(const uint8_t* residuals, size_t count, unsigned item_bytes, uint8_t* quads,
                       uint8_t* larger);
  /// The inverse. REQUIRES: slack at the end of `larger`, which holds one for each 3 in `quads`.
  void (*unpack_quads)(const uint8_t* quads, size_t count, unsigned item_bytes,
                       const uint8_t* larger, uint8_t* residuals);

  /// The numbers of the items that are not `common`, in order; returns how many.
  /// REQUIRES: at most 65536 items, slack at the end of `numbers`, which has room for `count`.
  size_t (*find_others)(const uint8_t* items, size_t count, unsigned item_bytes, uint64_t common,
                        uint16_t* numbers);

  /// Sorts floats by their size, which is the eight bits below the sign: into class i those of at
  /// least least[i] that no class before it has, into the last one the rest.
  /// REQUIRES: item_bytes > 1, 1 to 65536 items, 2 to kSizeClassesMost classes.
  void (*mark_classes)(const uint8_t* items, size_t count, unsigned item_bytes,
                       const uint8_t* least, unsigned classes, ClassMarks& marks);

  /// The numbers of items by their places among those of a class.
  /// REQUIRES: places in increasing order, below the number of items in the class. `numbers` may be
  /// `places`.
  void (*find_places)(const ClassMarks& marks, unsigned number, const uint16_t* places,
                      size_t count, uint16_t* numbers);

  void (*bf16_from_f32)(const uint8_t* in, size_t count, uint8_t* out);
  void (*f32_from_bf16)(const uint8_t* in, size_t count, uint8_t* out);
  void (*f16_from_f32)(const uint8_t* in, size_t count, uint8_t* out);
  void (*f32_from_f16)(const uint8_t* in, size_t count, uint8_t* out);
};

extern const ItemKernel kItemsPortable;
#if defined(__x86_64__)
extern const ItemKernel kItemsAvx2;
#endif

/// The kernel in use: the widest that this machine can run.
const ItemKernel& item_kernel();
/// Uses `kernel`, which lives as long as the program, from now on; for tests and benchmarks.
/// nullptr: the widest. Threads: any.
void use_item_kernel(const ItemKernel* kernel);

}  // namespace cairn
