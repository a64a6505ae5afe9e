#pragma once

#include "gpu/tile.h"
#include "tests/bench/gpu/operation.h"

namespace cairn::gpu {

/// All that is measured, in the order of the table.
std::span<const Row> bench_rows();

// What rows are prepared by. An operation has a file of its own and a line here.
Prepared digest_chunks(const BenchData& data, uint64_t chunk_bytes, Share share);
/// 512 columns of a matrix of BF16 with 8192.
Prepared digest_columns(const BenchData& data);
Prepared gather_half(const BenchData& data);
/// BF16 against a base of which 5 % differ: planes of the difference, or what is not 0 of it.
Prepared difference_to_planes(const BenchData& data);
Prepared compact_sparse(const BenchData& data);
/// A parameter in F32 from quads and a step of AdamW.
Prepared replay_adamw(const BenchData& data);
/// Tensors of 64 MiB into chunks of 64 KiB on average.
Prepared cut_tensors(const BenchData& data);
Prepared cut_and_digest(const BenchData& data);

}  // namespace cairn::gpu
