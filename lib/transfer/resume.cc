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
        reader_(to) {}

  Result<Resumed> run(const Origin& origin) {
    FoundArrivals found = find_left_arrivals(to_, origin);
    for (const std::string& why : found.passed_over) note(why);
    if (!found.left.empty()) index_wanted();
    for (const LeftArrivals& left : found.left) {
      std::map<FileId, std::vector<Arrival>> by_pack;
      for (const Arrival& arrival : left.arrivals) {
        if (arrival.pack.session == left.session) by_pack[arrival.pack].push_back(arrival);
      }
      for (auto& [pack, arrivals] : by_pack) CAIRN_CHECK(take_over(pack, arrivals));
      // Another who goes on from here finds no pack any more.
      (void)to_.fs().remove(left.path).has_value();
    }
    return std::move(resumed_);
  }

 private:
  using Wanted = std::tuple<FileId, uint64_t, uint32_t, Digest>;

  /// A copy that is wanted and whole.
  struct Found {
    uint32_t fetch = 0;
    Arrival arrival;
  };

  void index_wanted() {
    resumed_.copies.resize(fetches_.size());
    for (uint32_t number = 0; number < fetches_.size(); ++number) {
      if (fetches_[number].chain) continue;
      const Copy& copy = fetches_[number].copy;
      wanted_[{copy.pack, copy.offset, copy.stored_bytes, fetches_[number].digest}] = number;
    }
  }

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
    }
    return {};
  }

  /// In the order in which they lie; none of a pack that is not there.
  Result<std::vector<Found>> find_whole(const FileId& left, std::vector<Arrival>& arrivals) const {
    std::vector<Found> found;
    const std::string path = join_path(to_.path(), relative_path(FileKind::kPack, left));
    const auto file = to_.fs().open(path, OpenMode::kRead);
    if (!file) return found;
    const std::vector<Found> wanted = find_wanted(arrivals);
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

  /// Those that may be whole, each once, in the order in which they lie.
  std::vector<Found> find_wanted(std::vector<Arrival>& arrivals) const {
    std::sort(arrivals.begin(), arrivals.end(),
              [](const Arrival& a, const Arrival& b) { return a.offset < b.offset; });
    std::vector<Found> wanted;
    std::set<uint32_t> taken;
    for (const Arrival& arrival : arrivals) {
      const auto known = wanted_.find(
          {arrival.source, arrival.source_offset, arrival.stored_bytes, arrival.digest});
      const bool is_placed = arrival.offset % copy_alignment(arrival.stored_bytes) == 0;
      if (known == wanted_.end() || !is_placed || resumed_.copies[known->second]) continue;
      if (taken.insert(known->second).second) wanted.push_back({known->second, arrival});
    }
    return wanted;
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
  std::map<Wanted, uint32_t> wanted_;  // numbers of fetches
  Resumed resumed_;
};

}  // namespace

Result<Resumed> resume_arrivals(const Store& to, const Origin& origin,
                                const std::vector<Fetch>& fetches, PackWriter& packs,
                                ArrivalJournal& journal, unsigned threads,
                                const std::atomic<bool>* stop) {
  return Resume(to, fetches, packs, journal, threads, stop).run(origin);
}

}  // namespace cairn
