// Joins ranges of packs that lie near each other, so that a disk is asked for few long reads.
#pragma once

#include <cstdint>
#include <vector>

#include "base/fs.h"
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

/// Ranges must be sorted by pack and beginning; they may overlap. A job reads at most as much as
/// `habits` says (a single longer range is a job of its own) and skips gaps by reading them, where
/// they say so. One that has `enough_bytes` takes no more. Empty ranges, which cost no reading,
/// come in jobs of at most 256.
std::vector<ReadJob> join_ranges(const std::vector<PackRange>& ranges,
                                 const ReadHabits& habits = {}, uint64_t enough_bytes = UINT64_MAX);

/// Threads for read jobs; 0 `wanted`: one for each CPU and some more, which wait for the disk while
/// the others decode: 10 % faster than two more.
unsigned reading_threads(unsigned wanted, const ReadHabits& habits = {});
/// Threads that look at many files, or remove them: as many as wait for a network; a disk has one.
unsigned asking_threads(const ReadHabits& habits);

}  // namespace cairn
