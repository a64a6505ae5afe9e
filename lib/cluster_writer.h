// The last step of a save's chunks: those that are wanted are encoded, with what the same chunk of
// related tensors and of the base says, and stored.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "lib/base_memory.h"
#include "lib/base_tag.h"
#include "lib/chunk_units.h"
#include "lib/cluster_encoder.h"
#include "lib/restore_budget.h"
#include "lib/saved_pages.h"
#include "lib/step_facts.h"
#include "lib/transfer_recipes.h"
#include "store/pack_reader.h"

namespace cairn {

/// Threads: any.
class ClusterWriter {
 public:
  /// `weights_direct`: weights must be readable without other tensors. REQUIRES: all outlive this.
  ClusterWriter(const Store& store, const SaveRequest& request, const SavePlan& plan, BaseTag* base,
                const RestoreBudget& budget, ChunkWriter& writer, SavedPages& pages,
                bool weights_direct);

  /// Stores the wanted units. Those of the same box are encoded together, so the bytes of all of
  /// them must be in the host's memory where any is wanted.
  Status write_new(const ChunkUnits& chunk);

  // As ChunkSteps (lib/staged_calls.h) says.
  std::vector<std::optional<Digest>> base_digests(const ChunkUnits& chunk) const;
  std::optional<TransferRecipes> recipes(const ChunkUnits& chunk) const;
  void learn(const ChunkUnits& chunk, std::span<const ByteSpan> now,
             std::span<const ByteSpan> before);
  Status recall(const ChunkUnits& chunk, std::span<const MutableBytes> rooms);

  /// Whether the item's copies must not be made from those of other tensors.
  bool must_stand_alone(size_t item) const;

 private:
  std::function<bool()> time_to_encode() const;
  std::optional<BaseUnit> base_at(const DigestedUnit& unit) const;
  std::optional<BaseUnit> base_of(const DigestedUnit& unit) const;
  Result<ByteSpan> bytes_of(const DigestedUnit& digested, AlignedBuffer& room) const;
  Status write_cluster(const ChunkUnits& chunk, std::span<const size_t> units);
  Member member_of(const DigestedUnit& unit) const;
  std::vector<StepFacts> facts_of(const ChunkUnits& chunk) const;
  Result<Cluster> cluster_of(const ChunkUnits& chunk, std::span<const size_t> units);
  void recall_before(const ChunkUnits& chunk, std::span<const size_t> units,
                     Cluster& cluster) const;
  void read_before(Cluster& cluster);
  Status store_member(const Cluster& cluster, size_t member, bool weights_first);
  Status write_opaque(const Member& member);

  const SaveRequest& request_;
  const SavePlan& plan_;
  BaseTag* const base_;
  const RestoreBudget& budget_;
  ChunkWriter& writer_;
  SavedPages& pages_;
  const bool weights_direct_;
  ClusterEncoder encoder_, opaque_encoder_;
  BaseMemory base_memory_;
  std::vector<StepFacts> facts_;  // by tensor
  RecipeBook recipe_book_;
  PackReader packs_;
};

}  // namespace cairn
