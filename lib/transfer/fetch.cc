#include "lib/transfer/fetch.h"

#include <algorithm>
#include <atomic>
#include <compare>
#include <map>

#include "base/buffer.h"
#include "base/pipeline.h"
#include "base/stop.h"
#include "lib/transfer/left_packs.h"
#include "store/pack_reader.h"

namespace cairn {
namespace {

/// A range of so many bytes is long enough to be worth a request.
constexpr uint64_t kEnoughBytes = kMiB;
constexpr uint64_t kRangeBytesMax = 4 * kMiB;

class Fetcher {
 public:
  Fetcher(const Store& from, const std::vector<Fetch>& fetches, PackWriter& packs,
          const FetchRequest& request)
      : request_(request),
        fetches_(fetches),
        packs_(packs),
        reader_(from),
        files_(from.fs(), from.path(), OpenMode::kRead) {}

  Result<Fetched> run() {
    fetched_.copies.resize(fetches_.size());
    sort_by_place();
    const ReadHabits habits = reader_.habits();
    const std::vector<ReadJob> jobs = jobs_for(habits);
    CAIRN_CHECK(
        parallel_for(jobs.size(), threads_for(jobs), [&](uint64_t i) { return move(jobs[i]); }));
    fetched_.received_bytes = received_bytes_;
    return std::move(fetched_);
  }

 private:
  void sort_by_place() {
    for (uint32_t number = 0; number < fetches_.size(); ++number) {
      const bool is_here = !request_.arrived.empty() && request_.arrived[number];
      if (is_here) fetched_.copies[number] = *request_.arrived[number];
      if (!is_here && !fetches_[number].chain) order_.push_back(number);
      if (is_here || !fetches_[number].chain) {
        fetched_.stored_bytes += fetches_[number].copy.stored_bytes;
      }
    }
    sort_order();
    for (const uint32_t number : order_) {
      const Copy& copy = fetches_[number].copy;
      ranges_.push_back({copy.pack, copy.offset, copy.offset + copy.stored_bytes});
    }
  }

  /// By numbers for the packs: of small copies there are so many that comparing names would show.
  void sort_order() {
    struct Place {
      uint32_t pack;
      uint64_t offset;
      uint32_t number;
      auto operator<=>(const Place&) const = default;
    };
    std::map<FileId, uint32_t> packs;
    for (const uint32_t number : order_) packs.try_emplace(fetches_[number].copy.pack);
    uint32_t next = 0;
    for (auto& [pack, number] : packs) number = next++;
    std::vector<Place> places;
    places.reserve(order_.size());
    auto last = packs.begin();
    for (const uint32_t number : order_) {
      const Copy& copy = fetches_[number].copy;
      if (last->first != copy.pack) last = packs.find(copy.pack);
      places.push_back({last->second, copy.offset, number});
    }
    std::sort(places.begin(), places.end());
    for (size_t i = 0; i < places.size(); ++i) order_[i] = places[i].number;
  }

  std::vector<ReadJob> jobs_for(ReadHabits habits) const {
    // Where a gap of any length is better read than left out, so is all that lies in one file.
    if (habits.gap_bytes_max > habits.bytes_max) {
      habits.bytes_max = std::max(kRangeBytesMax, request_.memory_bytes / 4);
      return join_ranges(ranges_, habits);
    }
    habits.bytes_max = kRangeBytesMax;
    return join_ranges(ranges_, habits, kEnoughBytes);
  }

  /// As many as have room at once, each for its longest range and largest chunk.
  unsigned threads_for(const std::vector<ReadJob>& jobs) const {
    uint64_t range_bytes = 1, decoded_bytes = 0;
    for (const ReadJob& job : jobs) {
      range_bytes = std::max(range_bytes, job.bytes.end - job.bytes.begin);
    }
    for (const uint32_t number : order_) {
      const Fetch& fetch = fetches_[number];
      const bool is_decoded = fetch.bases.empty() && fetch.copy.encoding != Encoding::kRaw;
      if (is_decoded) decoded_bytes = std::max<uint64_t>(decoded_bytes, fetch.copy.decoded_bytes);
    }
    const uint64_t fit = request_.memory_bytes / (range_bytes + decoded_bytes);
    const unsigned wanted = reading_threads(request_.threads, reader_.habits());
    return static_cast<unsigned>(std::clamp<uint64_t>(fit, 1, wanted));
  }

  Status move(const ReadJob& job) {
    CAIRN_CHECK(unless_stopped(request_.call.stop, "the transfer"));
    thread_local AlignedBuffer room, decoded;
    CAIRN_TRY(ByteSpan bytes, read(job.bytes, room));
    if (!check(job, bytes, decoded)) {
      // On its way bytes may have been mixed up that lie there whole.
      CAIRN_TRY(bytes, read(job.bytes, room));
      CAIRN_CHECK(check(job, bytes, decoded));
    }
    CAIRN_CHECK(append(job, bytes));
    if (request_.journal == nullptr) return {};
    std::vector<Arrival> arrivals;
    for (const uint32_t number : numbers_of(job)) {
      const Copy& copy = fetched_.copies[number];
      arrivals.push_back({key_of(fetches_[number]), copy.pack, copy.offset});
    }
    return request_.journal->note(arrivals);
  }

  Result<ByteSpan> read(const PackRange& range, AlignedBuffer& room) {
    const uint64_t length = range.end - range.begin;
    if (length == 0) return ByteSpan();
    if (room.size() < length) room = AlignedBuffer(length);
    const MutableBytes out = room.span().first(length);
    Copy place;
    place.pack = range.pack;
    place.offset = range.begin;
    const auto file = files_.open(FileKind::kPack, range.pack);
    if (!file) return tl::unexpected(about_copy(place, file.error()));
    const auto count = (*file)->read_at(range.begin, out);
    if (!count) return tl::unexpected(about_copy(place, count.error()));
    if (*count < length) {
      return tl::unexpected(
          about_copy(place, {Code::kCorrupt, "the pack ends before its copies do", ""}));
    }
    received_bytes_ += length;
    return ByteSpan(out);
  }

  std::span<const uint32_t> numbers_of(const ReadJob& job) const {
    return std::span(order_).subspan(job.first, job.count);
  }

  /// Of the bytes that were read for the job, those of one fetch.
  ByteSpan stored_in(const ReadJob& job, ByteSpan bytes, uint32_t number) const {
    const Copy& copy = fetches_[number].copy;
    if (copy.stored_bytes == 0) return {};
    return bytes.subspan(copy.offset - job.bytes.begin, copy.stored_bytes);
  }

  Status check(const ReadJob& job, ByteSpan bytes, AlignedBuffer& room) const {
    std::vector<uint32_t> raw_numbers;
    std::vector<ByteSpan> raw;
    for (const uint32_t number : numbers_of(job)) {
      const Fetch& fetch = fetches_[number];
      const ByteSpan stored = stored_in(job, bytes, number);
      const bool is_raw = fetch.copy.encoding == Encoding::kRaw && fetch.bases.empty() &&
                          fetch.copy.parameters.empty();
      if (is_raw) {
        raw_numbers.push_back(number);
        raw.push_back(stored);
      } else {
        CAIRN_CHECK(
            reader_.check_alone(fetch.copy, !fetch.bases.empty(), fetch.digest, stored, room));
      }
    }
    return check_raw(raw_numbers, raw);
  }

  /// Small ones fill the lanes of the digest together.
  Status check_raw(std::span<const uint32_t> numbers, std::span<const ByteSpan> stored) const {
    std::vector<Digest> digests(stored.size());
    blake3_many(stored, digests);
    for (size_t i = 0; i < stored.size(); ++i) {
      const Fetch& fetch = fetches_[numbers[i]];
      const bool is_whole = stored[i].size() == fetch.copy.decoded_bytes;
      if (!is_whole || digests[i] != fetch.digest) return tl::unexpected(other_digest(fetch.copy));
    }
    return {};
  }

  Status append(const ReadJob& job, ByteSpan bytes) {
    std::vector<NewCopy> wanted;
    wanted.reserve(job.count);
    uint64_t stored_bytes = 0;
    for (const uint32_t number : numbers_of(job)) {
      const Fetch& fetch = fetches_[number];
      wanted.push_back({fetch.digest, fetch.copy.encoding, fetch.copy.decoded_bytes,
                        stored_in(job, bytes, number), fetch.bases, fetch.copy.parameters});
      stored_bytes += fetch.copy.stored_bytes;
    }
    CAIRN_TRY(std::vector<Copy> copies, packs_.append(wanted));
    for (size_t i = 0; i < copies.size(); ++i) {
      const uint32_t number = numbers_of(job)[i];
      copies[i].bases = fetches_[number].copy.bases;
      fetched_.copies[number] = std::move(copies[i]);
    }
    if (ProgressCounters* const progress = request_.call.progress) {
      progress->done_bytes += stored_bytes;
      progress->new_bytes += stored_bytes;
    }
    return {};
  }

  const FetchRequest& request_;
  const std::vector<Fetch>& fetches_;
  PackWriter& packs_;
  PackReader reader_;
  FilePool files_;
  std::vector<uint32_t> order_;    // of the fetches, by place
  std::vector<PackRange> ranges_;  // in that order
  std::atomic<uint64_t> received_bytes_{0};
  Fetched fetched_;
};

}  // namespace

Result<Fetched> fetch_copies(const Store& from, const std::vector<Fetch>& fetches,
                             PackWriter& packs, const FetchRequest& request) {
  return Fetcher(from, fetches, packs, request).run();
}

}  // namespace cairn
