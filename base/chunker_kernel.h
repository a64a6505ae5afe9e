// What a chunker's kernel does: the hash at many words. Private to base/ and its tests. Files
// compiled for wider machines include this, so it holds no inline function: the linker could keep
// the wide copy of one for every machine.
#pragma once

#include <cstdint>

namespace cairn {

struct ChunkerKernel {
  const char* name;
  /// The first of `count` words, at any alignment, at which the hash is at most `threshold`;
  /// `count` when there is none. `hash`: that at the word before the first. Reads no byte more.
  uint64_t (*find)(const uint8_t* words, uint64_t count, uint32_t hash, uint32_t threshold);
};

extern const ChunkerKernel kChunkerPortable;
#if defined(__x86_64__)
extern const ChunkerKernel kChunkerAvx2;
extern const ChunkerKernel kChunkerAvx512;
#endif

/// Uses `kernel`, which lives as long as the program, from now on; for tests and benchmarks.
/// nullptr: the widest. Threads: any.
void use_chunker_kernel(const ChunkerKernel* kernel);

}  // namespace cairn
