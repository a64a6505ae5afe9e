#include "gpu/writer_jobs.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

namespace cairn::gpu {

namespace {

/// Numbers 0 to size - 1 in the order of their keys, equal ones in their own. begins: by key.
struct Sorted {
  std::vector<uint32_t> order, begins;
};

template <class KeyOf>
Sorted counting_sort(size_t size, size_t keys, const KeyOf& key_of) {
  Sorted sorted{std::vector<uint32_t>(size), std::vector<uint32_t>(keys + 1)};
  for (uint32_t i = 0; i < size; ++i) ++sorted.begins[key_of(i) + 1];
  for (size_t key = 0; key < keys; ++key) sorted.begins[key + 1] += sorted.begins[key];
  std::vector<uint32_t> next(sorted.begins.begin(), sorted.begins.end() - 1);
  for (uint32_t i = 0; i < size; ++i) sorted.order[next[key_of(i)]++] = i;
  return sorted;
}

class JobMaker {
 public:
  JobMaker(std::span<const ExchangeUnit> units, const Twins& twins, ReplicaTable& table)
      : units_(units),
        twins_(twins),
        table_(table),
        counted_(twins.count, kNobody),
        first_alone_(twins.count, kNobody) {
    made_.job_of.resize(units.size());
  }

  void add_cluster(std::span<uint32_t> members) {
    uint32_t set = table_.holders()[members[0]];
    for (const uint32_t unit : members) set = table_.sets().meet(set, table_.holders()[unit]);
    if (set != RankSets::kEmpty) return add(members, set);
    const auto holders = table_.holders();
    std::sort(members.begin(), members.end(), [&](uint32_t a, uint32_t b) {
      return std::tuple(holders[a], a) < std::tuple(holders[b], b);
    });
    for (size_t begin = 0, end = 0; begin < members.size(); begin = end) {
      while (end < members.size() && holders[members[end]] == holders[members[begin]]) ++end;
      add(members.subspan(begin, end - begin), holders[members[begin]]);
    }
  }

  WriterJobs take() {
    Sorted sorted = counting_sort(units_.size(), made_.jobs.size(),
                                  [&](uint32_t unit) { return made_.job_of[unit]; });
    made_.units = std::move(sorted.order);
    made_.begins = std::move(sorted.begins);
    return std::move(made_);
  }

 private:
  static constexpr uint32_t kNobody = UINT32_MAX;

  void add(std::span<const uint32_t> members, uint32_t set) {
    const uint32_t twin = twins_.numbers[members[0]];
    if (members.size() == 1 && twin != Twins::kNone) return add_alone(members[0], twin, set);
    const uint32_t job = new_job(set);
    for (const uint32_t unit : members) {
      made_.job_of[unit] = job;
      const uint32_t content = twins_.numbers[unit];
      if (content != Twins::kNone && std::exchange(counted_[content], job) == job) continue;
      made_.jobs[job].bytes += units_[unit].bytes;
    }
  }

  /// Joins the first job of the same content that leaves somebody to do it.
  void add_alone(uint32_t unit, uint32_t twin, uint32_t set) {
    for (uint32_t job = first_alone_[twin]; job != kNobody; job = next_alone_[job]) {
      const uint32_t both = table_.sets().meet(made_.jobs[job].set, set);
      if (both == RankSets::kEmpty) continue;
      made_.jobs[job].set = both;
      made_.job_of[unit] = job;
      return;
    }
    const uint32_t job = new_job(set);
    made_.jobs[job].bytes = units_[unit].bytes;
    made_.job_of[unit] = job;
    next_alone_[job] = std::exchange(first_alone_[twin], job);
  }

  uint32_t new_job(uint32_t set) {
    made_.jobs.push_back({0, set});
    next_alone_.push_back(kNobody);
    return static_cast<uint32_t>(made_.jobs.size() - 1);
  }

  std::span<const ExchangeUnit> units_;
  const Twins& twins_;
  ReplicaTable& table_;
  WriterJobs made_;
  std::vector<uint32_t> counted_;      // the job that has counted the content last
  std::vector<uint32_t> first_alone_;  // by content: the job of units alone that came last
  std::vector<uint32_t> next_alone_;   // by job: the one that came before it
};

}  // namespace

Result<WriterJobs> make_jobs(std::span<const ExchangeUnit> units, const Twins& twins,
                             ReplicaTable& table) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < units.size(); ++i) {
    if (units[i].cluster >= units.size())
      return fail(Code::kUsage, fmt::format("unit {} is of cluster {}, of {} units", i,
                                            units[i].cluster, units.size()));
    if (units[i].bytes > INT64_MAX - bytes)
      return fail(Code::kUsage, fmt::format("units up to {} have more than 2^63 bytes", i));
    bytes += units[i].bytes;
  }
  Sorted clusters =
      counting_sort(units.size(), units.size(), [&](uint32_t unit) { return units[unit].cluster; });
  JobMaker maker(units, twins, table);
  for (size_t i = 0; i < units.size(); ++i) {
    const uint32_t count = clusters.begins[i + 1] - clusters.begins[i];
    if (count != 0) maker.add_cluster(std::span(clusters.order).subspan(clusters.begins[i], count));
  }
  return maker.take();
}

}  // namespace cairn::gpu
