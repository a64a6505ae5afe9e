// What is dealt to ranks: units that one of them has to write together, and who can.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gpu/replica_table.h"
#include "gpu/twins.h"

namespace cairn::gpu {

/// Units that one rank writes.
struct WriterJob {
  uint64_t bytes = 0;  ///< of different contents
  uint32_t set = 0;    ///< the ranks that hold all of them
};

struct WriterJobs {
  std::vector<WriterJob> jobs;
  std::vector<uint32_t> job_of;  ///< of each unit
  /// The units of job j, in order: from begins[j] to begins[j + 1].
  std::vector<uint32_t> units, begins;

  std::span<const uint32_t> units_of(uint32_t job) const {
    return std::span(units).subspan(begins[job], begins[job + 1] - begins[job]);
  }
};

/// A job for each cluster. A cluster that no rank holds all of is cut by holders; units that are
/// alone and have one content are one job as far as some rank holds them all.
/// Errors: kUsage for a cluster that is no number below that of units, or bytes beyond 2^63.
/// REQUIRES: a settled table of these units, and their twins.
Result<WriterJobs> make_jobs(std::span<const ExchangeUnit> units, const Twins& twins,
                             ReplicaTable& table);

}  // namespace cairn::gpu
