#include "lib/transfer/left_packs.h"

#include <algorithm>

#include "store/pack_table.h"

namespace cairn {

static std::vector<LeftPack> by_pack(const LeftArrivals& left) {
  std::map<FileId, std::vector<Arrival>> packs;
  for (const Arrival& arrival : left.arrivals) {
    if (arrival.pack.session == left.session) packs[arrival.pack].push_back(arrival);
  }
  std::vector<LeftPack> list;
  for (auto& [pack, arrivals] : packs) {
    std::sort(arrivals.begin(), arrivals.end(),
              [](const Arrival& a, const Arrival& b) { return a.offset < b.offset; });
    list.push_back({pack, std::move(arrivals)});
  }
  return list;
}

/// Nothing of one whose table cannot be read.
static LeftPack by_table(const Store& store, const FileId& pack) {
  LeftPack left{pack, {}};
  const auto rows = list_copies(store.fs(), store.path(), pack);
  if (!rows) return left;
  for (const PackedCopy& row : *rows) left.arrivals.push_back({key_of(row), pack, row.offset});
  return left;
}

Result<std::vector<LeftPack>> packs_of(const Store& store, const LeftArrivals& left) {
  if (store.fs().conditional() == nullptr) return by_pack(left);
  const std::string first = relative_path(FileKind::kPack, FileId{left.session, 0});
  const auto entries = store.fs().list(parent_folder(join_path(store.path(), first)));
  std::vector<LeftPack> packs;
  if (!entries && entries.error().code == Code::kNotFound) return packs;
  CAIRN_CHECK(entries);
  for (const FolderEntry& entry : *entries) {
    const auto pack = FileId::parse(entry.name);
    if (entry.is_file && pack && pack->session == left.session) {
      packs.push_back(by_table(store, *pack));
    }
  }
  return packs;
}

WantedCopies::WantedCopies(const std::vector<Fetch>& fetches) : fetches_(fetches) {
  for (uint32_t number = 0; number < fetches.size(); ++number) {
    if (!fetches[number].chain) put_back(number);
  }
}

std::vector<Match> WantedCopies::take(const LeftPack& pack) {
  std::vector<Match> matches;
  uint64_t wanted_bytes = 0, all_bytes = 0;
  for (const Arrival& arrival : pack.arrivals) {
    const uint64_t bytes = arrival.key.stored_bytes;
    all_bytes += bytes;
    const auto known = wanted_.find(arrival.key);
    if (known == wanted_.end() || arrival.offset % copy_alignment(bytes) != 0) continue;
    matches.push_back({known->second, arrival});
    wanted_.erase(known);
    wanted_bytes += bytes;
  }
  if (wanted_bytes >= all_bytes / 2) return matches;
  for (const Match& match : matches) put_back(match.fetch);
  return {};
}

/// The pack, without what was told before it was written; none that is gone.
static std::optional<LeftPack> as_it_is(const Store& store, LeftPack pack) {
  const auto info =
      store.fs().info(join_path(store.path(), relative_path(FileKind::kPack, pack.pack)));
  if (!info) return std::nullopt;
  std::erase_if(pack.arrivals, [&](const Arrival& arrival) {
    return arrival.offset + arrival.key.stored_bytes > info->bytes;
  });
  return pack;
}

uint64_t left_bytes(const Store& store, const std::vector<Fetch>& fetches) {
  const FoundArrivals found = look_at_left_arrivals(store);
  uint64_t bytes = 0;
  if (found.left.empty()) return bytes;
  WantedCopies wanted(fetches);
  for (const LeftArrivals& left : found.left) {
    const auto packs = packs_of(store, left);
    if (!packs) continue;
    for (const LeftPack& each : *packs) {
      const auto pack = as_it_is(store, each);
      if (!pack) continue;
      for (const Match& match : wanted.take(*pack)) bytes += match.arrival.key.stored_bytes;
    }
  }
  return bytes;
}

}  // namespace cairn
