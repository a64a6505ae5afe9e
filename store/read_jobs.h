// Joins ranges of packs that lie near each other, so that a disk is asked for few long reads.
#pragma once

#include <cstdint>
#include <vector>

#include "store/file_id.h"

namespace cairn {

/// Bytes [begin, end) of a pack. An empty range needs no read.
struct PackRange {
  FileId pack;
  uint64_t begin = 0, end = 0;
};

/// Consecutive ranges that one read covers: `bytes` begins where the first does.
struct ReadJob {
  size_t first = 0, count = 0;
  PackRange bytes;
};

/// Ranges must be sorted by pack and beginning; they may overlap. A job reads at most 4 MiB (a
/// single longer range is a job of its own) and skips gaps of at most 256 KiB by reading them: less
/// than what a further request costs a disk.
/// Empty ranges, which cost no reading, come in jobs of at most 256.
std::vector<ReadJob> join_ranges(const std::vector<PackRange>& ranges);

/// Threads for read jobs; 0 `wanted`: one for each CPU and six more, which wait for the disk while
/// the others decode. Disks want several requests at once: 10 % faster than two more.
unsigned reading_threads(unsigned wanted);

}  // namespace cairn
