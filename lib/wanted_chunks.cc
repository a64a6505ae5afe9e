#include "lib/wanted_chunks.h"

#include <algorithm>
#include <tuple>

#include "gpu/rank_sets.h"

namespace cairn {

Result<WantedChunks> WantedChunks::of(Checkpoint& checkpoint,
                                      const std::vector<TargetBox>& targets) {
  WantedChunks wanted;
  wanted.targets_ = targets;
  CAIRN_TRY(const Layout layout, checkpoint.layout());
  const Schema& schema = checkpoint.schema();
  std::map<std::pair<std::string, Shape>, uint64_t> leaders;
  uint64_t chunks = 0;
  for (size_t number = 0; number < schema.tensors.size(); ++number) {
    const TensorInfo& info = schema.tensors[number];
    CAIRN_TRY(const StorageForm form, storage_form(static_cast<Dtype>(info.dtype), info.shape));
    Tensor& tensor = wanted.tensors_.emplace_back();
    tensor.first = chunks;
    tensor.item_bytes = form.item_bytes;
    CAIRN_TRY(tensor.grid, grid_of(info, form, schema.chunk_elements));
    chunks += tensor.grid.chunk_count();
    const std::string& parameter = layout.tensors[number].parameter;
    tensor.cluster = parameter.empty()
                         ? number
                         : leaders.try_emplace({parameter, form.shape}, number).first->second;
  }
  wanted.own_.resize(gpu::unit_map_words(chunks));
  for (uint32_t number = 0; number < targets.size(); ++number) {
    Tensor& tensor = wanted.tensors_[targets[number].tensor];
    tensor.targets.push_back(number);
    tensor.grid.for_each_chunk(targets[number].box, [&](uint64_t chunk) {
      gpu::add_unit(wanted.own_, tensor.first + chunk);
    });
  }
  return wanted;
}

WantedChunks::Chunk WantedChunks::chunk_at(size_t tensor, uint64_t chunk) const {
  Chunk made{tensor, chunk, tensors_[tensor].grid.chunk_box(chunk)};
  made.bytes = made.box.elements() * tensors_[tensor].item_bytes;
  return made;
}

bool WantedChunks::is_shared(uint64_t number) const { return gpu::has_unit(several_, number); }

void WantedChunks::settle(const std::vector<gpu::UnitMap>& maps) {
  several_ = gpu::held_units(maps).several;
  gpu::RankSets sets(static_cast<unsigned>(maps.size()));
  std::map<std::tuple<uint64_t, uint64_t, uint32_t>, size_t> known;  // cluster, chunk, set
  for (size_t number = 0; number < tensors_.size(); ++number) {
    const Tensor& tensor = tensors_[number];
    for (uint64_t i = 0; i < tensor.grid.chunk_count(); ++i) {
      if (!is_shared(tensor.first + i)) continue;
      std::vector<unsigned> ranks;
      for (unsigned rank = 0; rank < maps.size(); ++rank)
        if (gpu::has_unit(maps[rank], tensor.first + i)) ranks.push_back(rank);
      const std::tuple key(tensor.cluster, i, sets.number_of(ranks));
      const auto [at, fresh] = known.try_emplace(key, shared_.size());
      if (fresh) shared_.push_back({{0, std::move(ranks)}, {}});
      Shared& together = shared_[at->second];
      Chunk chunk = chunk_at(number, i);
      chunk.offset = together.box.bytes;
      together.box.bytes += round_up(chunk.bytes, gpu::BucketPlan::kAlignment);
      together.chunks.push_back(std::move(chunk));
    }
  }
  join_runs();
}

/// Neighbours are read by one rank: reads are long, and what lies between is not read twice.
void WantedChunks::join_runs() {
  constexpr uint64_t kRunBytesMost = 32 * kMiB;
  std::map<std::vector<unsigned>, uint64_t> totals;
  for (const Shared& shared : shared_) totals[shared.box.ranks] += shared.box.bytes;
  std::map<std::vector<unsigned>, size_t> open;
  std::vector<Shared> runs;
  for (Shared& shared : shared_) {
    const uint64_t most =
        std::min(kRunBytesMost, totals[shared.box.ranks] / shared.box.ranks.size() + 1);
    const auto [at, fresh] = open.try_emplace(shared.box.ranks, runs.size());
    if (fresh || runs[at->second].box.bytes >= most) {
      at->second = runs.size();
      runs.push_back(std::move(shared));
      continue;
    }
    Shared& run = runs[at->second];
    for (Chunk& chunk : shared.chunks) {
      chunk.offset += run.box.bytes;
      run.chunks.push_back(std::move(chunk));
    }
    run.box.bytes += shared.box.bytes;
  }
  shared_ = std::move(runs);
}

std::vector<uint32_t> WantedChunks::targets_of(const Chunk& chunk) const {
  std::vector<uint32_t> numbers;
  for (const uint32_t number : tensors_[chunk.tensor].targets)
    if (intersect(targets_[number].box, chunk.box)) numbers.push_back(number);
  return numbers;
}

std::vector<TargetBox> WantedChunks::alone() const {
  std::vector<TargetBox> alone;
  for (const TargetBox& target : targets_) {
    const Tensor& tensor = tensors_[target.tensor];
    std::vector<uint64_t> chunks;
    uint64_t met = 0;
    tensor.grid.for_each_chunk(target.box, [&](uint64_t chunk) {
      ++met;
      if (!is_shared(tensor.first + chunk)) chunks.push_back(chunk);
    });
    if (chunks.size() == met) {
      if (met > 0) alone.push_back(target);
      continue;
    }
    for (const uint64_t chunk : chunks) {
      TargetBox& part = alone.emplace_back(target);
      part.box = *intersect(target.box, tensor.grid.chunk_box(chunk));
      part.memory = sub_box(target.memory, target.box, part.box);
    }
  }
  return alone;
}

}  // namespace cairn
