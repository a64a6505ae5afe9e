#include "lib/transfer/resume.h"

#include <fmt/format.h>

#include <deque>

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
    const FoundArrivals found = take_left_arrivals(to_, origin);
    for (const std::string& why : found.passed_over) note(why);
    if (found.left.empty()) return std::move(resumed_);
    resumed_.copies.resize(fetches_.size());
    WantedCopies wanted(fetches_);
    for (const LeftArrivals& left : found.left) {
      CAIRN_TRY(const bool is_used_up, take_over(left, wanted));
      // Who brings the tag of which this was goes on from here, as long as it is another.
      if (is_used_up || left.origin == origin) resumed_.journals.push_back(left.path);
    }
    return std::move(resumed_);
  }

 private:
  void note(const std::string& why) {
    resumed_.notes.push_back(
        fmt::format("some of what had arrived earlier is fetched again: {}", why));
  }

  /// Whether none of its packs is there any more.
  Result<bool> take_over(const LeftArrivals& left, WantedCopies& wanted) {
    CAIRN_TRY(const std::vector<LeftPack> packs, packs_of(to_, left));
    bool is_used_up = true;
    for (const LeftPack& pack : packs) {
      const std::string path = join_path(to_.path(), relative_path(FileKind::kPack, pack.pack));
      const auto file = to_.fs().open(path, OpenMode::kRead);
      if (!file) {
        is_used_up = is_used_up && file.error().code == Code::kNotFound;
        continue;
      }
      const std::vector<Match> matches = wanted.take(pack);
      CAIRN_TRY(const std::vector<Match> whole, keep_whole(**file, matches, wanted));
      if (whole.empty()) {
        is_used_up = false;
        continue;
      }
      CAIRN_TRY(const auto after, adopt(pack.pack, whole));
      if (after == Adopted::kYes) continue;
      is_used_up = is_used_up && after == Adopted::kGone;
      for (const Match& match : whole) wanted.put_back(match.fetch);
    }
    return is_used_up;
  }

  enum class Adopted : uint8_t {
    kYes,
    kGone,  ///< a collector or another transfer has it
    kNo,
  };

  Result<Adopted> adopt(const FileId& left, const std::vector<Match>& whole) {
    const FileId file = packs_.take_file();
    std::deque<PackedCopy> rows;
    std::vector<Arrival> noted;
    for (const auto& [number, arrival] : whole) {
      const Fetch& fetch = fetches_[number];
      rows.push_back({fetch.digest, arrival.offset, fetch.copy.stored_bytes,
                      fetch.copy.decoded_bytes, fetch.copy.encoding, fetch.bases,
                      fetch.copy.parameters});
      noted.push_back(arrival);
      noted.back().pack = file;
    }
    CAIRN_CHECK(journal_.note(noted));
    const auto bytes = adopt_pack(to_, left, file, rows);
    if (!bytes) {
      if (bytes.error().code == Code::kNotFound) return Adopted::kGone;
      note(bytes.error().message);
      return Adopted::kNo;
    }
    packs_.count_file(*bytes);
    for (const Match& match : whole) resumed_.put(match, fetches_[match.fetch], file);
    return Adopted::kYes;
  }

  /// The others are wanted again.
  Result<std::vector<Match>> keep_whole(File& file, const std::vector<Match>& matches,
                                        WantedCopies& wanted) const {
    std::vector<uint8_t> are_whole(matches.size());
    CAIRN_CHECK(parallel_for(matches.size(), threads_, [&](uint64_t i) -> Status {
      if (stop_ != nullptr && *stop_) return fail(Code::kCancelled, "the transfer was stopped");
      are_whole[i] = is_whole(file, matches[i].arrival, fetches_[matches[i].fetch]) ? 1 : 0;
      return {};
    }));
    std::vector<Match> whole;
    uint64_t end = kPackHeaderBytes;
    for (size_t i = 0; i < matches.size(); ++i) {
      const auto& [number, arrival] = matches[i];
      if (are_whole[i] == 0 || arrival.offset < end) {
        wanted.put_back(number);
        continue;
      }
      end = arrival.offset + arrival.key.stored_bytes;
      whole.push_back(matches[i]);
    }
    return whole;
  }

  bool is_whole(File& file, const Arrival& arrival, const Fetch& fetch) const {
    thread_local AlignedBuffer room, decoded;
    const uint32_t bytes = arrival.key.stored_bytes;
    if (room.size() < bytes) room = AlignedBuffer(bytes);
    const MutableBytes stored = room.span().first(bytes);
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
