#include "gpu/bucket_plan.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include <fmt/format.h>

namespace cairn::gpu {

static Status check(std::span<const WantedBox> boxes, unsigned ranks, uint64_t bytes_most) {
  if (bytes_most < BucketPlan::kAlignment)
    return fail(Code::kUsage, fmt::format("buckets of {} bytes", bytes_most));
  if (boxes.size() > UINT32_MAX)
    return fail(Code::kUsage, fmt::format("{} boxes are too many", boxes.size()));
  uint64_t bytes = 0;
  for (size_t i = 0; i < boxes.size(); ++i) {
    const std::vector<unsigned>& wanting = boxes[i].ranks;
    if (wanting.empty()) return fail(Code::kUsage, fmt::format("no rank wants box {}", i));
    if (wanting.back() >= ranks ||
        std::adjacent_find(wanting.begin(), wanting.end(), std::greater_equal()) != wanting.end())
      return fail(Code::kUsage, fmt::format("ranks [{}] of box {} are no ranks of {} in order",
                                            fmt::join(wanting, ", "), i, ranks));
    if (boxes[i].bytes > INT64_MAX - bytes)
      return fail(Code::kUsage, fmt::format("boxes up to {} have more than 2^63 bytes", i));
    bytes += boxes[i].bytes;
  }
  return {};
}

/// Those that fewest want first, the largest of them first, each to who has the fewest bytes.
static void deal(std::span<const WantedBox> boxes, BucketPlan& plan) {
  std::vector<uint32_t> order(boxes.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return std::tuple(boxes[a].ranks.size(), boxes[b].bytes, a) <
           std::tuple(boxes[b].ranks.size(), boxes[a].bytes, b);
  });
  for (const uint32_t box : order) {
    const std::vector<unsigned>& ranks = boxes[box].ranks;
    const unsigned reader = *std::min_element(
        ranks.begin(), ranks.end(), [&](auto a, auto b) { return plan.bytes[a] < plan.bytes[b]; });
    plan.readers[box] = reader;
    plan.bytes[reader] += boxes[box].bytes;
  }
}

namespace {

/// Fills the buckets of one reader.
class Filler {
 public:
  explicit Filler(uint64_t bytes_most)
      : bytes_most_(bytes_most / BucketPlan::kAlignment * BucketPlan::kAlignment) {}

  void add(uint32_t box, const WantedBox& wanted, unsigned reader) {
    uint64_t offset = 0;
    do {  // a box without bytes has one part too
      if (buckets_.empty() || buckets_.back().ranks != wanted.ranks || end() >= bytes_most_ ||
          (offset == 0 && must_be_whole(wanted.bytes)))
        buckets_.push_back({reader, wanted.ranks, {}, 0});
      const uint64_t place = end();
      const uint64_t bytes = std::min(wanted.bytes - offset, bytes_most_ - place);
      buckets_.back().parts.push_back({box, offset, bytes, place});
      buckets_.back().bytes = place + bytes;
      offset += bytes;
    } while (offset < wanted.bytes);
  }
  std::vector<Bucket> take() { return std::move(buckets_); }

 private:
  uint64_t end() const { return round_up(buckets_.back().bytes, BucketPlan::kAlignment); }
  /// A box that fits a bucket is not cut because of what came before it.
  bool must_be_whole(uint64_t bytes) const {
    return bytes <= bytes_most_ && bytes > bytes_most_ - end();
  }

  uint64_t bytes_most_;
  std::vector<Bucket> buckets_;
};

}  // namespace

Result<BucketPlan> plan_buckets(std::span<const WantedBox> boxes, unsigned ranks,
                                uint64_t bytes_most) {
  CAIRN_CHECK(check(boxes, ranks, bytes_most));
  BucketPlan plan;
  plan.readers.resize(boxes.size());
  plan.bytes.resize(ranks);
  deal(boxes, plan);

  std::vector<uint32_t> shared;
  for (uint32_t box = 0; box < boxes.size(); ++box)
    if (boxes[box].ranks.size() > 1) shared.push_back(box);
  std::stable_sort(shared.begin(), shared.end(),
                   [&](uint32_t a, uint32_t b) { return boxes[a].ranks < boxes[b].ranks; });
  std::map<unsigned, Filler> fillers;
  for (const uint32_t box : shared) {
    const unsigned reader = plan.readers[box];
    fillers.try_emplace(reader, bytes_most).first->second.add(box, boxes[box], reader);
  }

  std::vector<std::vector<Bucket>> of_readers;
  size_t rounds = 0;
  for (auto& [reader, filler] : fillers) {
    of_readers.push_back(filler.take());
    rounds = std::max(rounds, of_readers.back().size());
  }
  for (size_t round = 0; round < rounds; ++round)
    for (std::vector<Bucket>& buckets : of_readers)
      if (round < buckets.size()) plan.buckets.push_back(std::move(buckets[round]));
  return plan;
}

Digest digest_of(const BucketPlan& plan) {
  Bytes told;
  for (const unsigned reader : plan.readers) append_le<uint32_t>(told, reader);
  for (const Bucket& bucket : plan.buckets) {
    for (const uint64_t number : {uint64_t{bucket.reader}, bucket.bytes,
                                  uint64_t{bucket.parts.size()}, uint64_t{bucket.ranks.size()}})
      append_le(told, number);
    for (const unsigned rank : bucket.ranks) append_le<uint32_t>(told, rank);
    for (const BucketPart& part : bucket.parts)
      for (const uint64_t number : {uint64_t{part.box}, part.offset, part.bytes, part.place})
        append_le(told, number);
  }
  return blake3(told);
}

}  // namespace cairn::gpu
