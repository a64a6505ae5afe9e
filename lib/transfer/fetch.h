// Moves stored copies from the packs of one store to packs of a session in another, without
// decoding more than their check takes: one pass from the source to the pack.
#pragma once

#include <vector>

#include "lib/cairn.hpp"
#include "lib/transfer/transfer_plan.h"
#include "store/arrivals.h"
#include "store/pack_writer.h"

namespace cairn {

struct FetchRequest {
  unsigned threads = 0;  ///< ranges that are under way at once; 0: as many as suit the source
  /// For ranges and what is decoded of them: fewer are under way where they would take more. One
  /// always is.
  uint64_t memory_bytes = kGiB;
  /// Per fetch, where it lies already; empty: nothing does.
  std::vector<std::optional<Copy>> arrived = {};
  ArrivalJournal* journal = nullptr;  ///< is told of what arrives; may be null
  CallOptions call = {};
};

struct Fetched {
  std::vector<Copy> copies;     ///< per fetch, where it lies now; bases are packs of the source
  uint64_t stored_bytes = 0;    ///< of them
  uint64_t received_bytes = 0;  ///< read from the source, gaps between copies included
};

/// Neighbours are read together, about a MiB at once: what is under way is lost when the process is
/// killed. Every copy's stored bytes are checked, those of copies that stand alone against their
/// digest; what others decode to is not looked at. A range with wrong bytes is read once more.
/// Memory: `memory_bytes`, and the writer's. Errors: those of reading, named by pack and offset;
/// kCorrupt for bytes that stay wrong; those of writing; kCancelled.
Result<Fetched> fetch_copies(const Store& from, const std::vector<Fetch>& fetches,
                             PackWriter& packs, const FetchRequest& request);

}  // namespace cairn
