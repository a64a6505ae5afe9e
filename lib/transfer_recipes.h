// How the chunks of a save from a device travel to the host: whole, or as what corrects a
// prediction that both sides make, from what the base has and from what has travelled already. A
// recipe is found by a trial on one chunk and serves all of its kind; that it suits a chunk is not
// assumed.
#pragma once

#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "lib/cluster_encoder.h"

namespace cairn {

/// Of one unit of a chunk.
struct TransferRecipe {
  Way way = Way::kPlanes;  ///< kPlanes: whole; kDelta: XOR with what was there before
  ItemForm form = {};
  Cast cast = Cast::kF32ToBf16;         ///< of kDerived
  ReplayParameters parameters = {};     ///< of kReplay
  std::vector<WaySource> sources = {};  ///< units of the same chunk, by number
};
using TransferRecipes = std::vector<TransferRecipe>;

/// XOR for all members: what suits any state.
TransferRecipes plain_recipes(const Cluster& cluster);

/// Those of the kinds of clusters that were met. Threads: any.
class RecipeBook {
 public:
  /// nullopt when none of that kind was learnt. `facts`: of each member.
  std::optional<TransferRecipes> find(const Cluster& cluster,
                                      std::span<const StepFacts> facts) const;
  /// From one cluster's bytes, whatever the ways in which it may be stored. REQUIRES: all members
  /// have now and before.
  void learn(ClusterEncoder& encoder, const Cluster& cluster, std::span<const StepFacts> facts);

 private:
  /// What clusters have in common that recipes suit.
  struct Kind {
    std::vector<std::pair<Role, Dtype>> members;
    std::vector<StepFacts> facts;

    bool operator==(const Kind&) const = default;
  };
  static Kind kind_of(const Cluster& cluster, std::span<const StepFacts> facts);

  mutable std::mutex mutex_;
  std::vector<std::pair<Kind, TransferRecipes>> known_;
};

}  // namespace cairn
