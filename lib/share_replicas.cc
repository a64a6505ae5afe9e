#include "lib/share_replicas.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "base/memory_guard.h"
#include "gpu/exchange.h"
#include "gpu/rank_sets.h"
#include "gpu/rank_talk.h"
#include "lib/unit_digests.h"
#include "lib/unit_list.h"

namespace cairn {
namespace {

/// What all ranks of a save say the same of it.
Digest topic_of(const SaveRequest& request, uint64_t chunk_elements) {
  Bytes told;
  append_le(told, chunk_elements);
  append_le<uint8_t>(told, request.step ? 1 : 0);
  append_le(told, request.step.value_or(0));
  append_bytes(told, as_bytes(request.tag));
  told.push_back(0);
  if (request.base) append_bytes(told, as_bytes(*request.base));
  return blake3(told);
}

/// Lists of all ranks, each of which is told once.
Result<std::vector<Bytes>> gather_lists(gpu::Transport& transport, const Bytes& own,
                                        const std::vector<Digest>& digests) {
  const unsigned ranks = transport.size();
  std::vector<uint64_t> lengths(ranks);
  const uint64_t length = own.size();
  CAIRN_CHECK(transport.all_gather(
      as_bytes(&length, sizeof length),
      MutableBytes(static_cast<uint8_t*>(static_cast<void*>(lengths.data())), 8 * ranks)));
  std::vector<bool> tells(ranks);
  uint64_t longest = 0;
  for (unsigned rank = 0; rank < ranks; ++rank) {
    tells[rank] =
        std::find(digests.begin(), digests.begin() + rank, digests[rank]) == digests.begin() + rank;
    if (tells[rank]) longest = std::max(longest, lengths[rank]);
  }
  const uint64_t share = std::max<uint64_t>(1, gpu::kRoundBytes / ranks);
  std::vector<Bytes> lists(ranks);
  Bytes mine, all;
  for (uint64_t at = 0; at < longest; at += share) {
    const uint64_t bytes = std::min(share, longest - at);
    mine.assign(bytes, 0);
    if (tells[transport.rank()] && at < own.size())
      std::copy_n(&own[at], std::min(bytes, own.size() - at), mine.begin());
    all.resize(bytes * ranks);
    CAIRN_CHECK(transport.all_gather(mine, all));
    for (unsigned rank = 0; rank < ranks; ++rank) {
      if (!tells[rank] || lengths[rank] <= at) continue;
      append_bytes(lists[rank],
                   ByteSpan(all).subspan(rank * bytes, std::min(bytes, lengths[rank] - at)));
    }
  }
  std::erase_if(lists, [](const Bytes& list) { return list.empty(); });
  return lists;
}

/// One all-gather where all have the same list.
Result<UnitList> agree_on_list(gpu::Transport& transport, const Result<UnitList>& own,
                               uint64_t chunk_elements) {
  const Bytes told = own ? own->encoded() : Bytes();
  const Status status = own ? Status() : tl::unexpected(own.error());
  CAIRN_TRY(const auto digests, gpu::tell_all(transport, status, blake3(told)));
  if (std::all_of(digests.begin(), digests.end(),
                  [&](const Digest& digest) { return digest == digests.front(); }))
    return *own;
  CAIRN_TRY(const auto lists, gather_lists(transport, told, digests));
  Result<UnitList> all = guard_memory([&] { return UnitList::united(lists, chunk_elements); });
  CAIRN_CHECK(gpu::agree(transport, "list of tensors", all ? Status() : tl::unexpected(all.error()),
                         all ? blake3(all->encoded()) : Digest()));
  return all;
}

class Sharing {
 public:
  Sharing(gpu::Transport& transport, const SavePlan& plan, StagedSave* staged,
          const CallOptions& call, const UnitList& list)
      : transport_(transport), plan_(plan), staged_(staged), call_(call), list_(list) {}

  Result<SharedReplicas> run() {
    find_own();
    gpu::UnitMap mine(gpu::unit_map_words(list_.unit_count()));
    for (const auto& [number, unit] : own_) gpu::add_unit(mine, number);
    CAIRN_TRY(const auto maps, gpu::gather_maps(transport_, mine));
    choose(maps);
    const auto state = guard_memory([&] { return held_state(); });
    CAIRN_TRY(const gpu::ExchangePlan agreed, gpu::agree_on_writers(transport_, state));
    return result(agreed);
  }

 private:
  void find_own() {
    for (size_t item = 0; item < plan_.tensors.size(); ++item) {
      for (uint64_t chunk = 0; chunk < plan_.chunk_count(item); ++chunk) {
        for (Unit& unit : plan_.units_of(item, chunk)) {
          if (plan_.is_small_piece(unit)) continue;  // it is told with its part, whoever has it
          own_.emplace(list_.number_of(plan_, unit), std::move(unit));
        }
      }
    }
  }

  /// The units that somebody has, and no other has as part of a larger one.
  void choose(const std::vector<gpu::UnitMap>& maps) {
    const auto [any, several] = gpu::held_units(maps);
    several_ = several;
    const auto all = list_.units();
    std::map<uint32_t, uint32_t> clusters;
    for (uint64_t number = 0; number < all.size(); ++number) {
      if (!gpu::has_unit(any, number)) continue;
      const auto whole = list_.whole_of(number);
      if (whole && gpu::has_unit(any, *whole)) continue;
      const auto here = static_cast<uint32_t>(chosen_.size());
      const uint32_t cluster = clusters.try_emplace(all[number].cluster, here).first->second;
      chosen_.push_back(number);
      units_.push_back({all[number].bytes, cluster});
    }
  }

  Result<gpu::HeldState> held_state() {
    std::vector<const Unit*> digested;
    std::vector<size_t> places;
    gpu::HeldState state{
        units_, blake3(list_.encoded()), gpu::UnitMap(gpu::unit_map_words(units_.size())), {}};
    for (size_t i = 0; i < chosen_.size(); ++i) {
      const auto own = own_.find(chosen_[i]);
      if (own == own_.end()) continue;
      gpu::add_unit(state.held, i);
      if (gpu::has_unit(several_, chosen_[i])) {
        digested.push_back(&own->second);
        places.push_back(digests_.size());
      }
      // Nobody else has it: what stands for its content need only be like no other's.
      digests_.push_back(blake3(as_bytes(&chosen_[i], sizeof chosen_[i])));
    }
    CAIRN_TRY(const auto digests, digest_units(plan_, digested, staged_, call_));
    for (size_t i = 0; i < places.size(); ++i) digests_[places[i]] = digests[i];
    state.digests = digests_;
    return state;
  }

  SharedReplicas result(const gpu::ExchangePlan& agreed) const {
    SharedReplicas shared;
    std::vector<bool> writes(list_.unit_count());
    for (size_t i = 0; i < chosen_.size(); ++i)
      writes[chosen_[i]] = agreed.writers[i] == transport_.rank();
    for (const auto& [number, unit] : own_) {
      if (writes[number]) continue;
      shared.left.push_back(
          {unit.item, unit.chunk, unit.is_piece ? unit.sources.front() : LeftUnit::kWhole});
    }
    std::sort(shared.left.begin(), shared.left.end());
    warn(agreed, shared.warnings);
    return shared;
  }

  /// Each is told by the lowest rank of its majority.
  void warn(const gpu::ExchangePlan& agreed, std::vector<std::string>& warnings) const {
    using Sides = std::pair<std::vector<unsigned>, std::vector<unsigned>>;
    std::map<Sides, std::vector<std::string>> odd;
    for (const gpu::Disagreement& each : agreed.disagreements) {
      const std::vector<unsigned>& many = each.sides.front().ranks;
      if (many.front() != transport_.rank()) continue;
      std::vector<unsigned> few;
      for (size_t i = 1; i < each.sides.size(); ++i)
        few.insert(few.end(), each.sides[i].ranks.begin(), each.sides[i].ranks.end());
      std::sort(few.begin(), few.end());
      std::vector<std::string>& names = odd[{few, many}];
      const std::string& name = plan_.name(own_.at(chosen_[each.unit]).item);
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    for (const auto& [sides, names] : odd) {
      constexpr size_t kNamed = 4;
      std::string named;
      for (size_t i = 0; i < names.size() && i < kNamed; ++i)
        named += fmt::format("{}'{}'", i == 0 ? "" : ", ", names[i]);
      if (names.size() > kNamed) named += fmt::format(" and {} more", names.size() - kNamed);
      const bool are_many = names.size() > 1;
      warnings.push_back(fmt::format(
          "the tensor{} {} of {} {} from {} of {}: replicas that ranks hold have drifted apart",
          are_many ? "s" : "", named, gpu::named_ranks(sides.first),
          are_many ? "differ" : "differs", are_many ? "those" : "that",
          gpu::named_ranks(sides.second)));
    }
  }

  gpu::Transport& transport_;
  const SavePlan& plan_;
  StagedSave* const staged_;
  const CallOptions& call_;
  const UnitList& list_;
  std::map<uint64_t, Unit> own_;          // by number in the list
  gpu::UnitMap several_;                  // those that more than one rank has
  std::vector<uint64_t> chosen_;          // that are dealt
  std::vector<gpu::ExchangeUnit> units_;  // the same
  std::vector<Digest> digests_;           // of those that are here
};

}  // namespace

Result<SharedReplicas> share_replicas(gpu::Transport& transport, const SaveRequest& request,
                                      const Result<const SavePlan*>& plan, StagedSave* staged) {
  const auto own = guard_memory([&]() -> Result<UnitList> {
    CAIRN_TRY(const SavePlan* const here, plan);
    return UnitList::of(*here, group_items(*here, staged),
                        topic_of(request, here->schema.chunk_elements));
  });
  const uint64_t chunk_elements = plan ? (*plan)->schema.chunk_elements : 0;
  CAIRN_TRY(const UnitList list, agree_on_list(transport, own, chunk_elements));
  return Sharing(transport, **plan, staged, request.call, list).run();
}

}  // namespace cairn
