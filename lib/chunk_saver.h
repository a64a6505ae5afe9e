// The middle of a save: every chunk whose bytes are here is digested, compared with the base,
// looked up, and encoded and written when it is new. What comes out are entries of the save's
// pages.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/digest.h"
#include "lib/base_memory.h"
#include "lib/base_tag.h"
#include "lib/chunk_writer.h"
#include "lib/cluster_encoder.h"
#include "lib/restore_budget.h"
#include "lib/save_groups.h"
#include "lib/save_plan.h"
#include "lib/saved_pages.h"
#include "store/pack_reader.h"
#include "store/pack_tables.h"

namespace cairn {

/// Threads: run() once; it uses threads of its own.
class ChunkSaver {
 public:
  /// `weights_direct`: weights must be readable without other tensors.
  ChunkSaver(const Store& store, const SaveRequest& request, const SavePlan& plan, BaseTag* base,
             ChunkWriter& writer, PackTables& tables, SavedPages& pages, bool weights_direct);

  /// Fills in the entries of all chunks whose bytes are here, and stores what is new of them.
  Status run();

 private:
  struct JobPart;
  /// A unit, where its bytes lie, and what they are.
  struct DigestedUnit {
    Unit unit;
    OwnPlace place;
    uint64_t bytes = 0;
    DigestInput rows;
    Digest digest;
    bool is_wanted = false;
  };
  /// Chunks of the items of a group that are encoded together.
  struct ChunkUnits {
    const SaveGroup* group = nullptr;
    uint64_t chunk = 0;
    std::vector<DigestedUnit> units;  // of all items, in the group's order
  };

  std::function<bool()> time_to_encode() const;
  std::vector<std::vector<JobPart>> make_jobs(std::span<const SaveGroup> groups) const;
  Status run_jobs(std::span<const SaveGroup> groups);
  uint64_t chunk_bytes(size_t item) const;
  ChunkUnits units_of(const SaveGroup& group, uint64_t chunk) const;
  Status save_job(const std::vector<JobPart>& parts);
  Status digest(std::vector<ChunkUnits>& chunks) const;
  void settle(ChunkUnits& chunk);
  bool must_stand_alone(size_t item) const;
  ChunkEntry entry_of(std::span<const DigestedUnit> units) const;
  void settle_item(size_t item, const ChunkUnits& chunk, std::span<DigestedUnit> units);
  void take_moved(DigestedUnit& unit);
  void keep_equal_pieces(size_t item, const ChunkUnits& chunk, std::span<DigestedUnit> units);
  bool must_renew(size_t item, const ChunkUnits& chunk, std::span<const Copy> copies);
  Status look_up(const std::vector<ChunkUnits>& chunks);
  bool are_there(size_t item, uint64_t chunk, std::span<const Copy> copies,
                 const ChunkEntry& entry);
  Status write_new(ChunkUnits& chunk);
  Status write_cluster(const ChunkUnits& chunk, std::span<const size_t> units);
  Result<Cluster> cluster_of(const ChunkUnits& chunk, std::span<const size_t> units);
  void recall_before(const ChunkUnits& chunk, std::span<const size_t> units,
                     Cluster& cluster) const;
  void read_before(Cluster& cluster);
  Status store_member(const Cluster& cluster, size_t member, bool weights_first);
  Status write_opaque(const Member& member);
  std::optional<DigestInput> rows_of(const Unit& unit) const;
  Result<ByteSpan> bytes_of(const DigestedUnit& digested, AlignedBuffer& room) const;

  const Store& store_;
  const SaveRequest& request_;
  const SavePlan& plan_;
  BaseTag* const base_;
  ChunkWriter& writer_;
  const bool weights_direct_;
  ClusterEncoder encoder_, opaque_encoder_;
  BaseMemory base_memory_;
  RestoreBudget budget_;
  std::vector<SaveGroup> groups_;
  std::vector<StepFacts> facts_;  // by tensor
  SavedPages& pages_;
  PackTables& tables_;
  PackReader packs_;
  std::mutex look_up_mutex_;
};

}  // namespace cairn
