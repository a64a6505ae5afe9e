#include "lib/transfer/left_packs.h"

#include <algorithm>

#include "base/pipeline.h"
#include "store/pack_table.h"
#include "store/read_jobs.h"

namespace cairn {

/// What was told before it was written is left out.
static void keep_written(const Store& store, LeftPack& pack) {
  const auto info =
      store.fs().info(join_path(store.path(), relative_path(FileKind::kPack, pack.pack)));
  const uint64_t end = info ? info->bytes : 0;
  std::erase_if(pack.arrivals, [&](const Arrival& arrival) {
    return arrival.offset > end || arrival.key.stored_bytes > end - arrival.offset;
  });
}

static std::vector<LeftPack> by_journal(const Store& store, const LeftArrivals& left) {
  std::map<FileId, std::vector<Arrival>> packs;
  for (const Arrival& arrival : left.arrivals) {
    if (arrival.pack.session == left.session) packs[arrival.pack].push_back(arrival);
  }
  std::vector<LeftPack> list;
  for (auto& [pack, arrivals] : packs) {
    std::sort(arrivals.begin(), arrivals.end(),
              [](const Arrival& a, const Arrival& b) { return a.offset < b.offset; });
    list.push_back({pack, std::move(arrivals)});
    keep_written(store, list.back());
    if (list.back().arrivals.empty()) list.pop_back();
  }
  return list;
}

/// Nothing of one whose table is damaged, or which is gone.
static Status read_table(const Store& store, LeftPack& left) {
  const auto rows = list_copies(store.fs(), store.path(), left.pack);
  if (!rows) {
    const Code code = rows.error().code;
    const bool is_passing = code == Code::kUnreachable || code == Code::kCancelled;
    return is_passing ? tl::unexpected(rows.error()) : Status();
  }
  for (const PackedCopy& row : *rows) left.arrivals.push_back({key_of(row), left.pack, row.offset});
  return {};
}

static Result<std::vector<LeftPack>> by_tables(const Store& store, const SessionId& session) {
  const std::string first = relative_path(FileKind::kPack, FileId{session, 0});
  const auto entries = store.fs().list(parent_folder(join_path(store.path(), first)));
  std::vector<LeftPack> packs;
  if (!entries && entries.error().code == Code::kNotFound) return packs;
  CAIRN_CHECK(entries);
  for (const FolderEntry& entry : *entries) {
    const auto pack = FileId::parse(entry.name);
    if (entry.is_file && pack && pack->session == session) packs.push_back({*pack, {}});
  }
  CAIRN_CHECK(parallel_for(packs.size(), asking_threads(store.fs().read_habits()),
                           [&](uint64_t i) { return read_table(store, packs[i]); }));
  return packs;
}

Result<std::vector<LeftPack>> packs_of(const Store& store, const LeftArrivals& left) {
  if (store.fs().conditional() == nullptr) return by_journal(store, left);
  return by_tables(store, left.session);
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

void Resumed::put(const Match& match, const Fetch& fetch, const FileId& pack) {
  Copy& copy = copies[match.fetch].emplace(fetch.copy);
  copy.pack = pack;
  copy.offset = match.arrival.offset;
  bytes += copy.stored_bytes;
}

uint64_t left_bytes(const Store& store, const Origin& own, const std::vector<Fetch>& fetches) {
  const FoundArrivals found = look_at_left_arrivals(store, own);
  uint64_t bytes = 0;
  if (found.left.empty()) return bytes;
  WantedCopies wanted(fetches);
  for (const LeftArrivals& left : found.left) {
    const auto packs = packs_of(store, left);
    if (!packs) continue;
    for (const LeftPack& pack : *packs) {
      for (const Match& match : wanted.take(pack)) bytes += match.arrival.key.stored_bytes;
    }
  }
  return bytes;
}

}  // namespace cairn
