// Is everything there and whole? Looks at every tag's metadata, then at every pack its copies lie
// in, then, if asked, at the data itself. Changes nothing and takes no lock: it runs beside savers.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/progress_counters.h"
#include "store/store.h"

namespace cairn {

/// One thing found damaged. A kind "data" is found by reading data alone. Damage to many chunks of
/// one tensor in one pack is one row.
struct Damage {
  /// "metadata", "missing-pack", "short-pack", "pack-table", "locator" or "data".
  std::string kind;
  std::string tag, tensor, pack;  ///< empty where the damage is not in one; `pack` is a path
  std::optional<uint64_t> offset;
  std::string message;
};

struct CheckRequest {
  std::vector<TagEntry> tags;
  std::optional<double> read_percent;  ///< of the copies, chosen at random; unset: reads no data
  std::optional<std::chrono::seconds> time_limit;  ///< for reading data
  /// Data is read in the order of packs, from this one on: a check in several parts sees all of it.
  /// Unset: in an order of its own each time, when there is a time limit.
  std::optional<FileId> from_pack;
  /// A tag that changed each time it was looked at ends the check (kBusy). For those who act on
  /// what is found.
  bool must_settle = false;
  unsigned threads = 0;
  ProgressCounters* progress = nullptr;
  const std::atomic<bool>* stop = nullptr;
};

/// Whether it says that bytes are wrong or gone, rather than that they could not be read this time
/// (no memory or file descriptor left, a server that did not answer, a disk that failed).
bool is_loss(const Error& error);

struct CheckReport {
  uint64_t tags = 0;
  uint64_t packs = 0;       ///< data packs the tags need
  uint64_t chunks = 0;      ///< distinct stored copies the tags need, and inline chunks
  uint64_t bytes_read = 0;  ///< of data
  bool out_of_time = false;
  std::optional<FileId> next_pack;  ///< with from_pack, when out of time: where to go on
  std::vector<Damage> damage;
  /// Tags that changed each time they were looked at, and whose damage was not what it seemed.
  std::vector<std::string> unsettled;
};

/// A tag that changed while it was looked at and seems damaged is looked at again, a few times.
/// Only what is gone, short or not what its digest says counts as damage: what could not be read
/// this time may be whole, and ends the check. Errors: that; kCancelled; kNewerFormat; with
/// `must_settle` kBusy for a tag that would be in `unsettled`.
Result<CheckReport> check(const Store& store, const CheckRequest& request);

}  // namespace cairn
