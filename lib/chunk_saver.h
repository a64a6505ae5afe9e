// The middle of a save: every chunk whose bytes are here is digested, compared with the base,
// looked up, and encoded and written when it is new. What comes out are entries of the save's
// pages.
#pragma once

#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "lib/base_tag.h"
#include "lib/chunk_jobs.h"
#include "lib/chunk_units.h"
#include "lib/chunk_writer.h"
#include "lib/cluster_writer.h"
#include "lib/restore_budget.h"
#include "lib/save_groups.h"
#include "lib/save_plan.h"
#include "lib/saved_pages.h"
#include "lib/staged_calls.h"
#include "store/pack_tables.h"

namespace cairn {

/// Threads: run() once; it uses threads of its own.
class ChunkSaver {
 public:
  /// `staged`: brings what is on devices; null where nothing is. `weights_direct`: weights must be
  /// readable without other tensors. REQUIRES: all outlive this.
  ChunkSaver(const Store& store, const SaveRequest& request, const SavePlan& plan, BaseTag* base,
             ChunkWriter& writer, PackTables& tables, SavedPages& pages, StagedSave* staged,
             bool weights_direct);

  /// Fills in the entries of all chunks whose bytes are here, and stores what is new of them. Calls
  /// the request's fence.
  Status run();

 private:
  class Steps;

  bool is_on_device(const SaveGroup& group) const;
  Status run_on_host(std::span<const SaveGroup* const> groups);
  void call_fence();
  std::vector<ChunkUnits> units_of(const ChunkJob& job) const;
  ChunkUnits units_of(const SaveGroup& group, uint64_t chunk) const;
  Status check_not_stopped() const;
  Status save_job(const ChunkJob& job);
  void digest(std::vector<ChunkUnits>& chunks, AlignedBuffer& room) const;
  Status decide(std::vector<ChunkUnits>& chunks);
  Status keep(ChunkUnits& chunk) const;
  Status store(const ChunkUnits& chunk);
  void settle(ChunkUnits& chunk);
  ChunkEntry entry_of(std::span<const DigestedUnit> units) const;
  void settle_item(size_t item, const ChunkUnits& chunk, std::span<DigestedUnit> units);
  void take_moved(DigestedUnit& unit);
  void keep_equal_pieces(size_t item, const ChunkUnits& chunk, std::span<DigestedUnit> units);
  bool must_renew(size_t item, const ChunkUnits& chunk, std::span<const Copy> copies);
  Status look_up(const std::vector<ChunkUnits>& chunks);
  bool are_there(size_t item, uint64_t chunk, std::span<const Copy> copies,
                 const ChunkEntry& entry);

  const SaveRequest& request_;
  const SavePlan& plan_;
  BaseTag* const base_;
  StagedSave* const staged_;
  ChunkWriter& writer_;
  const std::vector<SaveGroup> groups_;
  const RestoreBudget budget_;
  ClusterWriter clusters_;
  SavedPages& pages_;
  PackTables& tables_;
  std::mutex look_up_mutex_;
  bool is_fence_called_ = false;
};

}  // namespace cairn
