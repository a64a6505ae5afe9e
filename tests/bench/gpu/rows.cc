#include "tests/bench/gpu/rows.h"

namespace cairn::gpu {

// One operation each.
static Prepared chunks_of_64_kib(const BenchData& data) {
  return digest_chunks(data, 64 * kKiB, {});
}
static Prepared chunks_of_1_mib(const BenchData& data) { return digest_chunks(data, kMiB, {}); }
static Prepared chunks_on_few(const BenchData& data) {
  return digest_chunks(data, 64 * kKiB, Share{8});
}

static constexpr Row kRows[] = {
    {"BLAKE3, chunks of 64 KiB", Counted::kRead, 1200, 1500, chunks_of_64_kib},
    {"BLAKE3, chunks of 1 MiB", Counted::kRead, 1200, 1500, chunks_of_1_mib},
    {"BLAKE3, tiles of 512 columns of BF16", Counted::kRead, 1000, 1400, digest_columns},
    {"BLAKE3, 64 KiB, 8 multiprocessors", Counted::kRead, 85, 100, chunks_on_few},
    {"gather of changed chunks", Counted::kReadAndWritten, 3400, 3900, gather_half},
    {"difference and planes", Counted::kReadAndWritten, 2500, 3400, difference_to_planes},
    {"sparse compaction", Counted::kRead, 2000, 3000, compact_sparse},
    {"replay decode", Counted::kReadAndWritten, 2000, 3000, replay_adamw},
    {"candidates and cuts", Counted::kRead, 2500, 3500, cut_tensors},
    {"candidates, cuts and BLAKE3", Counted::kRead, 850, 1050, cut_and_digest},
};

std::span<const Row> bench_rows() { return kRows; }

}  // namespace cairn::gpu
