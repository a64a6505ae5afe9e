#include "gpu/exchange_plan.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <tuple>

#include <fmt/format.h>

#include "gpu/writer_jobs.h"

namespace cairn::gpu {

namespace {

constexpr uint32_t kNone = UINT32_MAX;

class Dealer {
 public:
  Dealer(std::span<const ExchangeUnit> units, const Twins& twins, const WriterJobs& jobs,
         RankSets& sets)
      : units_(units),
        twins_(twins),
        jobs_(jobs),
        sets_(sets),
        load_(sets.rank_count()),
        saved_(sets.rank_count()),
        queues_(sets.size()),
        first_writer_(twins.count, kNone),
        counted_(twins.count, kNone) {
    plan_.writers.resize(units.size());
    plan_.same_as.resize(units.size());
  }

  ExchangePlan deal() {
    for (const uint32_t job : order()) {
      const unsigned rank = choose(job);
      load_[rank] += jobs_.jobs[job].bytes - saved_[rank];
      for (const unsigned each : saving_) saved_[each] = 0;
      for (const uint32_t unit : jobs_.units_of(job)) {
        plan_.writers[unit] = rank;
        if (twins_.numbers[unit] != Twins::kNone) writes(twins_.numbers[unit], rank);
      }
    }
    for (uint32_t unit = 0; unit < units_.size(); ++unit) plan_.same_as[unit] = first_like(unit);
    plan_.bytes = std::move(load_);
    return std::move(plan_);
  }

 private:
  /// A rank that writes a content.
  struct Writer {
    unsigned rank;
    uint32_t unit;  // the first that it writes
    uint32_t next;  // another writer of the same content
  };
  using Load = std::pair<uint64_t, unsigned>;

  std::vector<uint32_t> order() const {
    struct Key {
      uint64_t bytes;
      uint32_t ranks, job;
    };
    std::vector<Key> keys(jobs_.jobs.size());
    for (uint32_t i = 0; i < keys.size(); ++i) {
      const WriterJob& job = jobs_.jobs[i];
      keys[i] = {job.bytes, static_cast<uint32_t>(sets_.ranks(job.set).size()), i};
    }
    std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
      return std::tuple(a.ranks, b.bytes, a.job) < std::tuple(b.ranks, a.bytes, b.job);
    });
    std::vector<uint32_t> jobs(keys.size());
    std::transform(keys.begin(), keys.end(), jobs.begin(), [](const Key& key) { return key.job; });
    return jobs;
  }

  /// Fills saving_ and saved_: the ranks that write contents of the job already, and their bytes.
  void find_savings(uint32_t job) {
    saving_.clear();
    for (const uint32_t unit : jobs_.units_of(job)) {
      const uint32_t twin = twins_.numbers[unit];
      if (twin == Twins::kNone || std::exchange(counted_[twin], job) == job) continue;
      for (uint32_t at = first_writer_[twin]; at != kNone; at = writers_[at].next) {
        const unsigned rank = writers_[at].rank;
        if (!sets_.contains(jobs_.jobs[job].set, rank) || units_[unit].bytes == 0) continue;
        if (saved_[rank] == 0) saving_.push_back(rank);
        saved_[rank] += units_[unit].bytes;
      }
    }
  }

  unsigned choose(uint32_t job) {
    find_savings(job);
    const auto [bytes, set] = jobs_.jobs[job];
    const auto key = [&, all = bytes](unsigned rank) {
      const uint64_t cost = all - saved_[rank];
      return std::tuple(cost != 0, load_[rank] + cost, rank);
    };
    unsigned best = least_loaded(set);
    for (const unsigned rank : saving_)
      if (key(rank) < key(best)) best = rank;
    return best;
  }

  /// Loads only grow, so an entry that is out of date stands too early in its queue and is put
  /// right when it comes first.
  unsigned least_loaded(uint32_t set) {
    std::vector<Load>& queue = queues_[set];
    if (queue.empty()) {
      for (const unsigned rank : sets_.ranks(set)) queue.emplace_back(load_[rank], rank);
      std::make_heap(queue.begin(), queue.end(), std::greater());
    }
    while (queue.front().first != load_[queue.front().second]) {
      std::pop_heap(queue.begin(), queue.end(), std::greater());
      queue.back().first = load_[queue.back().second];
      std::push_heap(queue.begin(), queue.end(), std::greater());
    }
    return queue.front().second;
  }

  uint32_t find_writer(uint32_t twin, unsigned rank) const {
    uint32_t at = first_writer_[twin];
    while (at != kNone && writers_[at].rank != rank) at = writers_[at].next;
    return at;
  }

  void writes(uint32_t twin, unsigned rank) {
    if (find_writer(twin, rank) != kNone) return;
    writers_.push_back({rank, kNone, first_writer_[twin]});
    first_writer_[twin] = static_cast<uint32_t>(writers_.size() - 1);
  }

  uint32_t first_like(uint32_t unit) {
    if (twins_.numbers[unit] == Twins::kNone) return unit;
    Writer& writer = writers_[find_writer(twins_.numbers[unit], plan_.writers[unit])];
    if (writer.unit == kNone) writer.unit = unit;
    return writer.unit;
  }

  std::span<const ExchangeUnit> units_;
  const Twins& twins_;
  const WriterJobs& jobs_;
  RankSets& sets_;
  ExchangePlan plan_;
  std::vector<uint64_t> load_;
  std::vector<uint64_t> saved_;            // by rank, of the job that is dealt
  std::vector<unsigned> saving_;           // the ranks that save something
  std::vector<std::vector<Load>> queues_;  // by set; a heap, once it is asked
  std::vector<Writer> writers_;
  std::vector<uint32_t> first_writer_;  // by content
  std::vector<uint32_t> counted_;       // by content: the last job that looked at it
};

}  // namespace

Result<ExchangePlan> plan_exchange(std::span<const ExchangeUnit> units, ReplicaTable& table) {
  if (units.size() != table.units())
    return fail(Code::kUsage,
                fmt::format("a table of {} units for {} units", table.units(), units.size()));
  const Twins twins = find_twins(units, table.digests());
  CAIRN_TRY(const WriterJobs jobs, make_jobs(units, twins, table));
  ExchangePlan plan = Dealer(units, twins, jobs, table.sets()).deal();
  plan.disagreements = table.disagreements();
  return plan;
}

template <class T>
static void update(Blake3& digest, const std::vector<T>& values) {
  digest.update(as_bytes(values.data(), values.size() * sizeof(T)));
}

Digest digest_of(const ExchangePlan& plan) {
  Blake3 digest;
  update(digest, plan.writers);
  update(digest, plan.same_as);
  update(digest, plan.bytes);
  for (const Disagreement& each : plan.disagreements) {
    digest.update(as_bytes(&each.unit, sizeof each.unit));
    for (const ReplicaSide& side : each.sides) {
      digest.update(side.digest.bytes);
      update(digest, side.ranks);
    }
  }
  return digest.finish();
}

}  // namespace cairn::gpu
