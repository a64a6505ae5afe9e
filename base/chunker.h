// Cuts content where the content itself says (docs/FORMAT.md, section 5), so that chunks before and
// behind a change stay what they are although they have moved. The rule is in base/chunk_rule.h.
// One portable kernel is the truth; wider ones (AVX2, AVX-512) are chosen at run time and find the
// same cuts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/chunk_rule.h"
#include "base/chunker_kernel.h"

namespace cairn {

/// Where each chunk of the content ends, in bytes; the last with the content. None for no bytes.
/// Threads: any.
std::vector<uint64_t> cut_content(ByteSpan content, const ChunkRule& rule);

// The same in two stages, of which the first can be done a part at a time, in any order.

/// Where chunks may end among `count` words of the content: behind those at which the hash is at
/// most `threshold`; in bytes from the content's beginning, in order. Threads: any.
/// REQUIRES: the content has these words.
std::vector<uint64_t> find_candidates(ByteSpan content, uint64_t first_word, uint64_t count,
                                      uint32_t threshold);
/// What cut_content finds, from all candidates of a content of so many bytes, in order.
std::vector<uint64_t> cut_at_candidates(std::span<const uint64_t> candidates, uint64_t bytes,
                                        const ChunkRule& rule);

/// All kernels that this machine runs; the last is the widest. Threads: any.
std::span<const ChunkerKernel* const> chunker_kernels();

}  // namespace cairn
