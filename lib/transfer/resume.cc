#include "lib/transfer/resume.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/buffer.h"
#include "base/pipeline.h"
#include "store/adopt_pack.h"
#include "store/pack_reader.h"

namespace cairn {
namespace {

/// A copy that is wanted and has arrived.
struct Found {
  uint32_t fetch = 0;
  Arrival arrival;
};

/// What of the arrivals somebody still wants.
class WantedArrivals {
 public:
  explicit WantedArrivals(const std::vector<Fetch>& fetches) : are_there_(fetches.size()) {
    for (uint32_t number = 0; number < fetches.size(); ++number) {
      if (fetches[number].chain) continue;
      const Copy& copy = fetches[number].copy;
      numbers_[{copy.pack, copy.offset, copy.stored_bytes, fetches[number].digest}] = number;
    }
  }

  /// Nobody wants it any more.
  void settle(uint32_t fetch) { are_there_[fetch] = true; }

  /// Those that may be whole, each once, in the order in which they lie.
  std::vector<Found> among(std::vector<Arrival>& arrivals) const {
    std::sort(arrivals.begin(), arrivals.end(),
              [](const Arrival& a, const Arrival& b) { return a.offset < b.offset; });
    std::vector<Found> wanted;
    std::set<uint32_t> taken;
    for (const Arrival& arrival : arrivals) {
      const auto known = numbers_.find(
          {arrival.source, arrival.source_offset, arrival.stored_bytes, arrival.digest});
      const bool is_placed = arrival.offset % copy_alignment(arrival.stored_bytes) == 0;
      if (known == numbers_.end() || !is_placed || are_there_[known->second]) continue;
      if (taken.insert(known->second).second) wanted.push_back({known->second, arrival});
    }
    return wanted;
  }

 private:
  using Key = std::tuple<FileId, uint64_t, uint32_t, Digest>;
  std::map<Key, uint32_t> numbers_;  // of fetches
  std::vector<bool> are_there_;      // per fetch
};

/// Those of the session's own packs.
std::map<FileId, std::vector<Arrival>> arrivals_by_pack(const LeftArrivals& left) {
  std::map<FileId, std::vector<Arrival>> by_pack;
  for (const Arrival& arrival : left.arrivals) {
    if (arrival.pack.session == left.session) by_pack[arrival.pack].push_back(arrival);
  }
  return by_pack;
}

std::string pack_path(const Store& store, const FileId& pack) {
  return join_path(store.path(), relative_path(FileKind::kPack, pack));
}

class Resume {
 public:
  Resume(const Store& to, const std::vector<Fetch>& fetches, PackWriter& packs,
         ArrivalJournal& journal, unsigned threads, const std::atomic<bool>* stop)
      : to_(to),
        fetches_(fetches),
        packs_(packs),
        journal_(journal),
        threads_(threads),
        stop_(stop),
        reader_(to),
        wanted_(fetches) {}

  Result<Resumed> run(const Origin& origin) {
    FoundArrivals found = find_left_arrivals(to_, origin);
    for (const std::string& why : found.passed_over) note(why);
    if (!found.left.empty()) resumed_.copies.resize(fetches_.size());
    for (const LeftArrivals& left : found.left) {
      for (auto& [pack, arrivals] : arrivals_by_pack(left)) CAIRN_CHECK(take_over(pack, arrivals));
      // Another who goes on from here finds no pack any more.
      (void)to_.fs().remove(left.path).has_value();
    }
    return std::move(resumed_);
  }

 private:
  void note(const std::string& why) {
    resumed_.notes.push_back(
        fmt::format("some of what had arrived earlier is fetched again: {}", why));
  }

  Status take_over(const FileId& left, std::vector<Arrival>& arrivals) {
    CAIRN_TRY(const std::vector<Found> found, find_whole(left, arrivals));
    if (found.empty()) return {};
    const FileId file = packs_.take_file();
    std::deque<PackedCopy> rows;
    std::vector<Arrival> noted;
    for (const auto& [number, arrival] : found) {
      const Fetch& fetch = fetches_[number];
      rows.push_back({fetch.digest, arrival.offset, arrival.stored_bytes, fetch.copy.decoded_bytes,
                      fetch.copy.encoding, fetch.bases, fetch.copy.parameters});
      noted.push_back(arrival);
      noted.back().pack = file;
    }
    CAIRN_CHECK(journal_.note(noted));
    const auto bytes = adopt_pack(to_, left, file, rows);
    if (!bytes) {
      // It is gone where a collector or another transfer has it.
      if (bytes.error().code != Code::kNotFound) note(bytes.error().message);
      return {};
    }
    packs_.count_file(*bytes);
    for (const auto& [number, arrival] : found) {
      Copy& copy = resumed_.copies[number].emplace(fetches_[number].copy);
      copy.pack = file;
      copy.offset = arrival.offset;
      resumed_.bytes += copy.stored_bytes;
      wanted_.settle(number);
    }
    return {};
  }

  /// In the order in which they lie; none of a pack that is not there.
  Result<std::vector<Found>> find_whole(const FileId& left, std::vector<Arrival>& arrivals) const {
    std::vector<Found> found;
    const auto file = to_.fs().open(pack_path(to_, left), OpenMode::kRead);
    if (!file) return found;
    const std::vector<Found> wanted = wanted_.among(arrivals);
    std::vector<uint8_t> are_whole(wanted.size());
    CAIRN_CHECK(parallel_for(wanted.size(), threads_, [&](uint64_t i) -> Status {
      if (stop_ != nullptr && *stop_) return fail(Code::kCancelled, "the transfer was stopped");
      are_whole[i] = is_whole(**file, wanted[i].arrival, fetches_[wanted[i].fetch]) ? 1 : 0;
      return {};
    }));
    uint64_t end = kPackHeaderBytes;
    for (size_t i = 0; i < wanted.size(); ++i) {
      const Arrival& arrival = wanted[i].arrival;
      if (are_whole[i] == 0 || arrival.offset < end) continue;
      end = arrival.offset + arrival.stored_bytes;
      found.push_back(wanted[i]);
    }
    return found;
  }

  bool is_whole(File& file, const Arrival& arrival, const Fetch& fetch) const {
    thread_local AlignedBuffer room, decoded;
    if (room.size() < arrival.stored_bytes) room = AlignedBuffer(arrival.stored_bytes);
    const MutableBytes stored = room.span().first(arrival.stored_bytes);
    const auto count = file.read_at(arrival.offset, stored);
    if (!count || *count != stored.size()) return false;
    const bool has_bases = !fetch.bases.empty();
    return reader_.check_alone(fetch.copy, has_bases, fetch.digest, stored, decoded).has_value();
  }

  const Store& to_;
  const std::vector<Fetch>& fetches_;
  PackWriter& packs_;
  ArrivalJournal& journal_;
  const unsigned threads_;
  const std::atomic<bool>* const stop_;
  PackReader reader_;
  WantedArrivals wanted_;
  Resumed resumed_;
};

}  // namespace

Result<Resumed> resume_arrivals(const Store& to, const Origin& origin,
                                const std::vector<Fetch>& fetches, PackWriter& packs,
                                ArrivalJournal& journal, unsigned threads,
                                const std::atomic<bool>* stop) {
  return Resume(to, fetches, packs, journal, threads, stop).run(origin);
}

LeftBytes look_at_left(const Store& to, const Origin& origin, const std::vector<Fetch>& fetches) {
  FoundArrivals found = look_at_left_arrivals(to, origin);
  LeftBytes seen;
  seen.notes = std::move(found.passed_over);
  WantedArrivals wanted(fetches);
  for (const LeftArrivals& left : found.left) {
    for (auto& [pack, arrivals] : arrivals_by_pack(left)) {
      const auto file = to.fs().info(pack_path(to, pack));
      if (!file) continue;
      uint64_t end = kPackHeaderBytes;
      for (const auto& [number, arrival] : wanted.among(arrivals)) {
        const uint64_t copy_end = arrival.offset + arrival.stored_bytes;
        if (arrival.offset < end || copy_end > file->bytes) continue;
        end = copy_end;
        seen.bytes += arrival.stored_bytes;
        wanted.settle(number);
      }
    }
  }
  return seen;
}

}  // namespace cairn
