// Which chunks of a checkpoint ranks want, and what of them is read by one for several.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "gpu/bucket_plan.h"
#include "gpu/replica_table.h"
#include "lib/grid.h"
#include "lib/load_plan.h"

namespace cairn {

/// The tensors' chunks, numbered through. Threads: any.
class WantedChunks {
 public:
  /// Errors: kCorrupt.
  static Result<WantedChunks> of(Checkpoint& checkpoint, const std::vector<TargetBox>& targets);

  /// Those that the targets meet.
  const gpu::UnitMap& own() const { return own_; }

  /// A chunk as it is passed on: its items in row-major order.
  struct Chunk {
    size_t tensor = 0;
    uint64_t chunk = 0;
    Box box = {};
    uint64_t bytes = 0;
    uint64_t offset = 0;  ///< in what is passed on together
  };
  /// What is read and passed on as one: neighbouring chunks that the same ranks want, those of one
  /// parameter together, for some of them may be made from others.
  struct Shared {
    gpu::WantedBox box;
    std::vector<Chunk> chunks;
  };
  /// Takes what all ranks want. The same on all.
  void settle(const std::vector<gpu::UnitMap>& maps);
  const std::vector<Shared>& shared() const { return shared_; }

  /// The numbers of the targets that want some of a chunk.
  std::vector<uint32_t> targets_of(const Chunk& chunk) const;
  /// Targets for what no other rank wants.
  std::vector<TargetBox> alone() const;

 private:
  struct Tensor {
    uint64_t first = 0;    // of its chunks
    uint64_t cluster = 0;  // the number of the tensor that leads those made from each other
    uint64_t item_bytes = 1;
    Grid grid;
    std::vector<uint32_t> targets;
  };
  Chunk chunk_at(size_t tensor, uint64_t chunk) const;
  bool is_shared(uint64_t number) const;
  void join_runs();

  std::vector<TargetBox> targets_;
  std::vector<Tensor> tensors_;
  gpu::UnitMap own_, several_;
  std::vector<Shared> shared_;
};

}  // namespace cairn
