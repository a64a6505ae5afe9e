#include "gpu/exchange.h"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "base/memory_guard.h"
#include "gpu/rank_talk.h"

namespace cairn::gpu {

/// What the table would find wrong, before anybody waits for this rank.
static Status check(const HeldState& state) {
  const uint64_t units = state.units.size();
  if (units > ReplicaTable::kUnitsMost)
    return fail(Code::kUsage,
                fmt::format("{} units are more than {}", units, ReplicaTable::kUnitsMost));
  if (state.held.size() != unit_map_words(units) ||
      (units % 64 != 0 && state.held.back() >> (units % 64) != 0))
    return fail(Code::kUsage,
                fmt::format("a map of {} words for {} units, or with bits beyond them",
                            state.held.size(), units));
  uint64_t held = 0;
  for (const uint64_t word : state.held) held += static_cast<uint64_t>(std::popcount(word));
  if (held != state.digests.size())
    return fail(Code::kUsage,
                fmt::format("{} digests for {} units that are held", state.digests.size(), held));
  return {};
}

static Digest digest_of(const HeldState& state) {
  Blake3 digest;
  digest.update(state.names.bytes);
  Bytes told;
  for (const ExchangeUnit& unit : state.units) {
    append_le(told, unit.bytes);
    append_le(told, unit.cluster);
    if (told.size() < 64 * kKiB) continue;
    digest.update(told);
    told.clear();
  }
  digest.update(told);
  return digest.finish();
}

/// How many of `bytes` a rank may tell in one round.
static uint64_t round_share(const Transport& transport, uint64_t bytes) {
  return std::max<uint64_t>(1, kRoundBytes / transport.size() / bytes);
}

Result<std::vector<UnitMap>> gather_maps(Transport& transport, const UnitMap& mine) {
  const uint64_t most = round_share(transport, sizeof(uint64_t));
  std::vector<UnitMap> maps(transport.size());
  std::vector<uint64_t> all;
  for (uint64_t at = 0; at < mine.size(); at += most) {
    const uint64_t words = std::min(most, mine.size() - at), bytes = words * sizeof(uint64_t);
    all.resize(words * transport.size());
    CAIRN_CHECK(
        transport.all_gather(as_bytes(&mine[at], bytes),
                             MutableBytes(static_cast<uint8_t*>(static_cast<void*>(all.data())),
                                          bytes * transport.size())));
    for (size_t rank = 0; rank < maps.size(); ++rank)
      maps[rank].insert(maps[rank].end(), &all[rank * words], &all[rank * words] + words);
  }
  return maps;
}

/// Each rank tells its own one after the other, whichever units they are, so that no round has room
/// for what a rank does not hold; what has told all sends zeros.
static Status gather_digests(Transport& transport, std::span<const Digest> mine,
                             ReplicaTable& table) {
  const uint64_t share = round_share(transport, sizeof(Digest));
  uint64_t longest = 0;
  for (unsigned rank = 0; rank < table.ranks(); ++rank)
    longest = std::max(longest, table.held(rank));
  std::vector<Digest> own, all;
  for (uint64_t at = 0; at < longest; at += share) {
    const uint64_t count = std::min(share, longest - at);
    own.assign(count, {});
    if (at < mine.size())
      std::copy_n(mine.begin() + static_cast<ptrdiff_t>(at), std::min(count, mine.size() - at),
                  own.begin());
    all.resize(count * table.ranks());
    CAIRN_CHECK(
        transport.all_gather(as_bytes(own.data(), count * sizeof(Digest)),
                             MutableBytes(all.data()->bytes.data(), all.size() * sizeof(Digest))));
    for (unsigned rank = 0; rank < table.ranks(); ++rank) {
      const uint64_t held = table.held(rank);
      if (held <= at) continue;
      CAIRN_CHECK(
          table.add(rank, std::span(all).subspan(rank * count, std::min(count, held - at))));
    }
  }
  return table.settle();
}

static Result<ReplicaTable> gather(Transport& transport, const HeldState& state) {
  CAIRN_TRY(std::vector<UnitMap> maps, gather_maps(transport, state.held));
  CAIRN_TRY(ReplicaTable table, ReplicaTable::make(state.units.size(), std::move(maps)));
  CAIRN_CHECK(gather_digests(transport, state.digests, table));
  return table;
}

Result<ExchangePlan> agree_on_writers(Transport& transport, const Result<HeldState>& state) {
  Status own;
  Digest list;
  if (!state)
    own = tl::unexpected(state.error());
  else if (own = check(*state); own)
    list = digest_of(*state);
  CAIRN_CHECK(agree(transport, "list of units", own, list));
  // What fails here fails on all, or others are in the middle of a round and cannot be told.
  CAIRN_TRY(ReplicaTable table, guard_memory([&] { return gather(transport, *state); }));
  Result<ExchangePlan> plan = guard_memory([&] { return plan_exchange(state->units, table); });
  Status made;
  if (!plan) made = tl::unexpected(plan.error());
  CAIRN_CHECK(agree(transport, "plan", made, plan ? digest_of(*plan) : Digest()));
  return plan;
}

}  // namespace cairn::gpu
