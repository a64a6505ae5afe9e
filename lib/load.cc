// The load, step by step: plan (names, shapes), then by batches: find (which copies), read (each
// once, neighbours together), decode, check the digest, copy into the caller's memory. No RocksDB,
// no mmap.
#include <fmt/format.h>

#include <algorithm>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory_guard.h"
#include "base/pipeline.h"
#include "base/stop.h"
#include "lib/cairn.hpp"
#include "lib/chain_delivery.h"
#include "lib/load_delivery.h"
#include "lib/load_plan.h"
#include "store/chain_groups.h"
#include "store/pack_reader.h"
#include "store/read_jobs.h"

namespace cairn {
namespace {

/// Inline units have an empty range: they came with their page.
std::vector<PackRange> ranges_of(const std::vector<ReadUnit>& units) {
  std::vector<PackRange> ranges;
  ranges.reserve(units.size());
  for (const ReadUnit& unit : units) {
    const Copy& copy = unit.copy;
    ranges.push_back(unit.inline_bytes.empty()
                         ? PackRange{copy.pack, copy.offset, copy.offset + copy.stored_bytes}
                         : PackRange{});
  }
  return ranges;
}

/// What is stored raw in so many bytes is worth a read of its own.
constexpr uint64_t kReadAlone = 256 * kKiB;

/// On their way bytes may have been mixed up that lie there whole.
template <class T>
bool is_worth_reading_anew(const Result<T>& done, const PackReader& packs) {
  return !done && done.error().code == Code::kCorrupt && packs.habits().is_remote;
}

class Loader {
 public:
  Loader(Checkpoint& checkpoint, const LoadRequest& request, const LoadDelivery& delivery)
      : checkpoint_(checkpoint),
        request_(request),
        delivery_(delivery),
        packs_(checkpoint.store()),
        packs_anew_(checkpoint.store(), PackReader::Trust::kNothing) {}

  /// Reads one batch.
  Status read(std::vector<ReadUnit> units) {
    chunks_ += units.size();
    CAIRN_TRY(const auto chains, take_chains(units));
    units_ = std::move(units);
    CAIRN_CHECK(parallel_for(chains.size(), request_.call.threads,
                             [&](uint64_t i) { return run_chain(chains[i]); }));
    const std::vector<ReadJob> jobs = join_ranges(ranges_of(units_), packs_.habits());
    return parallel_for(jobs.size(), reading_threads(request_.call.threads, packs_.habits()),
                        [&](uint64_t i) { return run_job(jobs[i]); });
  }

  uint64_t read_bytes() const { return packs_.read_bytes() + packs_anew_.read_bytes(); }
  uint64_t chunks() const { return chunks_; }

 private:
  Status not_stopped() const { return unless_stopped(request_.call.stop, "the load"); }

  /// Takes out the units that are made from others, and those that others are made from, together.
  Result<std::vector<std::vector<ReadUnit>>> take_chains(std::vector<ReadUnit>& units) {
    std::vector<std::vector<ReadUnit>> chains;
    const bool any = std::any_of(units.begin(), units.end(),
                                 [](const ReadUnit& unit) { return !unit.copy.bases.empty(); });
    if (!any) return chains;
    std::vector<CopyRef> refs;
    std::vector<uint32_t> numbers;
    for (uint32_t number = 0; number < units.size(); ++number) {
      if (!units[number].inline_bytes.empty()) continue;
      refs.push_back(units[number].ref);
      numbers.push_back(number);
    }
    CAIRN_TRY(const auto groups, group_chains(checkpoint_, refs));
    std::vector<bool> taken(units.size());
    for (const std::vector<uint32_t>& group : groups) {
      std::vector<ReadUnit>& chain = chains.emplace_back();
      for (const uint32_t i : group) {
        taken[numbers[i]] = true;
        chain.push_back(std::move(units[numbers[i]]));
      }
    }
    std::vector<ReadUnit> rest;
    for (size_t number = 0; number < units.size(); ++number) {
      if (!taken[number]) rest.push_back(std::move(units[number]));
    }
    units = std::move(rest);
    return chains;
  }

  Status run_chain(std::span<const ReadUnit> chain) {
    CAIRN_CHECK(not_stopped());
    Status done = ChainDelivery(checkpoint_, packs_, delivery_).run(chain);
    if (is_worth_reading_anew(done, packs_)) {
      done = ChainDelivery(checkpoint_, packs_anew_, delivery_).run(chain);
    }
    if (done) return {};
    if (chain.size() == 1) return tl::unexpected(delivery_.about(chain.front(), done.error()));
    // Which of them is it?
    for (const ReadUnit& unit : chain) CAIRN_CHECK(run_chain({&unit, 1}));
    return done;
  }

  Status run_job(const ReadJob& job) {
    CAIRN_CHECK(not_stopped());
    std::vector<size_t> left;
    for (size_t i = job.first; i < job.first + job.count; ++i) {
      CAIRN_TRY(const bool done, deliver_in_place(units_[i]));
      if (!done) left.push_back(i);
    }
    return left.empty() ? Status() : read_and_deliver(left);
  }

  /// Reads what is stored raw from the page cache straight into the caller's memory. False when it
  /// has to go another way.
  Result<bool> deliver_in_place(const ReadUnit& unit) {
    if (unit.copy.encoding != Encoding::kRaw) return false;
    if (delivery_.is_of_one_device(unit)) return send_raw(unit);
    const auto out = delivery_.place_of(unit);
    if (!out || out->size() != unit.copy.stored_bytes) return false;
    if (!packs_.read_cached(unit.copy.pack, unit.copy.offset, *out)) return false;
    AlignedBuffer no_room;
    if (auto checked = packs_.decode_checked(unit.copy, unit.digest, *out, no_room); !checked) {
      return tl::unexpected(delivery_.about(unit, checked.error()));
    }
    delivery_.count_done(out->size());
    return true;
  }

  /// Reads what is stored raw into memory that a device reads. Small ones are read with others.
  Result<bool> send_raw(const ReadUnit& unit) {
    const Copy& copy = unit.copy;
    if (copy.stored_bytes < kReadAlone || copy.stored_bytes != copy.decoded_bytes) return false;
    CAIRN_CHECK(delivery_.send(unit, 0, [&](MutableBytes out) -> Status {
      if (packs_.read_cached(copy.pack, copy.offset, out)) return {};
      thread_local AlignedBuffer room;
      const auto read = packs_.read({copy.pack, copy.offset, copy.offset + out.size()}, room);
      if (!read) return tl::unexpected(delivery_.about(unit, read.error()));
      std::copy(read->begin(), read->end(), out.begin());
      return {};
    }));
    return true;
  }

  /// REQUIRES: units of one pack, or inline ones, in the order in which they lie.
  Status read_and_deliver(const std::vector<size_t>& numbers) {
    const ReadUnit& first = units_[numbers.front()];
    PackRange range{first.copy.pack, first.copy.offset, 0};
    for (const size_t i : numbers) {
      const Copy& copy = units_[i].copy;
      range.end = std::max(range.end, copy.offset + copy.stored_bytes);
    }
    thread_local AlignedBuffer room;
    ByteSpan stored;
    if (first.inline_bytes.empty() && range.end > range.begin) {
      auto read = packs_.read(range, room);
      if (is_worth_reading_anew(read, packs_)) read = packs_anew_.read(range, room);
      if (!read) return tl::unexpected(delivery_.about(first, read.error()));
      stored = *read;
    }
    for (const size_t i : numbers) {
      const ReadUnit& unit = units_[i];
      const ByteSpan bytes =
          unit.inline_bytes.empty()
              ? stored.subspan(unit.copy.offset - range.begin, unit.copy.stored_bytes)
              : ByteSpan(unit.inline_bytes);
      Status delivered = deliver(unit, bytes);
      if (is_worth_reading_anew(delivered, packs_)) delivered = deliver_anew(unit);
      if (!delivered) return tl::unexpected(delivery_.about(unit, delivered.error()));
    }
    return {};
  }

  Status deliver_anew(const ReadUnit& unit) {
    const Copy& copy = unit.copy;
    if (!unit.inline_bytes.empty()) return deliver(unit, unit.inline_bytes);
    AlignedBuffer room;
    CAIRN_TRY(const ByteSpan stored,
              packs_anew_.read({copy.pack, copy.offset, copy.offset + copy.stored_bytes}, room));
    return deliver(unit, stored);
  }

  Status deliver(const ReadUnit& unit, ByteSpan stored) {
    if (!unit.inline_bytes.empty()) {
      if (stored.size() != delivery_.bytes_of(unit))
        return fail(Code::kCorrupt, "an inline chunk of a wrong length");
      return delivery_.scatter(unit, stored);
    }
    CAIRN_CHECK(delivery_.check_length(unit, unit.copy.decoded_bytes));
    const auto place = delivery_.place_of(unit);
    if (place && unit.copy.encoding != Encoding::kRaw) {
      CAIRN_CHECK(packs_.decode_into(unit.copy, unit.digest, stored, *place));
      delivery_.count_done(place->size());
      return {};
    }
    if (delivery_.is_of_one_device(unit)) return send(unit, stored);
    thread_local AlignedBuffer room;
    CAIRN_TRY(const ByteSpan decoded, packs_.decode_checked(unit.copy, unit.digest, stored, room));
    return delivery_.scatter(unit, decoded);
  }

  /// To a device, which checks what comes, and joins planes before.
  Status send(const ReadUnit& unit, ByteSpan stored) {
    CAIRN_CHECK(packs_.check_size(unit.copy));
    const unsigned item_bytes = plane_item_bytes(unit.copy);
    return delivery_.send(unit, item_bytes, [&](MutableBytes out) {
      return item_bytes > 0 ? packs_.decode_to_planes(unit.copy, stored, out)
                            : packs_.decode_unchecked(unit.copy, stored, out);
    });
  }

  Checkpoint& checkpoint_;
  const LoadRequest& request_;
  const LoadDelivery& delivery_;
  std::vector<ReadUnit> units_;
  uint64_t chunks_ = 0;
  PackReader packs_, packs_anew_;
};

}  // namespace

Result<std::unique_ptr<StagedLoad>> begin_staged_load(const LoadRequest& request,
                                                      const std::vector<TargetBox>& targets) {
  const auto on_device = std::find_if(targets.begin(), targets.end(), [](const TargetBox& target) {
    return target.device.has_value();
  });
  if (on_device == targets.end()) return nullptr;
  if (request.devices.staging != nullptr) {
    return request.devices.staging->begin_load(request.devices, targets);
  }
  return fail(Code::kUsage,
              fmt::format("a target is on device {}, and there is no staging", *on_device->device),
              "make one with cairn_staging_new() (C++: open_staging()), or load into the host's "
              "memory");
}

Result<LoadResult> load_planned(Checkpoint& checkpoint, const LoadRequest& request,
                                const LoadPlan& plan) {
  const Stopwatch watch;
  ProgressCounters* const progress = request.call.progress;
  if (progress != nullptr) progress->total_bytes = plan.bytes;
  const uint64_t done_before = progress == nullptr ? 0 : progress->done_bytes.load();
  return read_where_it_is(checkpoint, [&](Checkpoint& where) -> Result<LoadResult> {
    if (progress != nullptr) progress->done_bytes = done_before;
    CAIRN_TRY(const auto staged, begin_staged_load(request, plan.targets));
    const LoadDelivery delivery(where, request, plan.targets, staged.get());
    Loader loader(where, request, delivery);
    CAIRN_CHECK(for_each_batch(where, plan.targets, [&](std::vector<ReadUnit> units) {
      return loader.read(std::move(units));
    }));
    if (staged != nullptr) CAIRN_CHECK(staged->finish());
    return LoadResult{plan.bytes,
                      loader.read_bytes(),
                      loader.chunks(),
                      staged == nullptr ? 0 : staged->sent_bytes(),
                      staged == nullptr ? std::vector<std::string>() : staged->notes(),
                      watch.seconds()};
  });
}

Result<LoadResult> load(Checkpoint& checkpoint, const LoadRequest& request) {
  return guard_memory([&]() -> Result<LoadResult> {
    CAIRN_TRY(const LoadPlan plan, plan_load(checkpoint, request));
    return load_planned(checkpoint, request, plan);
  });
}

/// The bytes of one run of an attachment: in `page`, or read into the rooms.
static Result<ByteSpan> read_run(PackReader& packs, const LoadedPage& page, uint32_t number,
                                 uint64_t bytes, AlignedBuffer& room, AlignedBuffer& decoded_room) {
  const ChunkEntry& entry = page.page.entries[number];
  ByteSpan run;
  if (const auto* held = std::get_if<Bytes>(&entry)) {
    run = *held;
  } else if (const auto* digest = std::get_if<Digest>(&entry)) {
    const Copy& copy = page.copies(number)[0];
    CAIRN_TRY(const ByteSpan stored,
              packs.read({copy.pack, copy.offset, copy.offset + copy.stored_bytes}, room));
    CAIRN_TRY(run, packs.decode_checked(copy, *digest, stored, decoded_room));
  }
  if (run.size() == bytes) return run;
  return fail(Code::kCorrupt, fmt::format("a run of {} bytes instead of {}", run.size(), bytes));
}

static Status read_runs(Checkpoint& checkpoint, std::string_view name,
                        const std::function<Status(ByteSpan)>& sink) {
  const auto item = checkpoint.find_attachment(name);
  if (!item) {
    return fail(Code::kNotFound,
                fmt::format("tag '{}' has no attachment '{}'", checkpoint.tag().name, name));
  }
  const ChunkEdges& edges = checkpoint.attachment(*item).edges;
  PackReader packs(checkpoint.store()), packs_anew(checkpoint.store(), PackReader::Trust::kNothing);
  AlignedBuffer room, decoded_room;
  Bytes kept;
  for (uint64_t chunk = 0; chunk < edges.count(); ++chunk) {
    const PagePlan::Place place = checkpoint.plan().place(*item, chunk);
    const uint64_t wanted = edges.length(chunk);
    const auto run = read_where_it_is(checkpoint, [&](Checkpoint& where) -> Result<ByteSpan> {
      CAIRN_TRY(const auto page, where.page(place.page));
      // Where it is inline, its bytes are the page's: they are copied before the page may go.
      auto read = read_run(packs, *page, place.entry, wanted, room, decoded_room);
      if (is_worth_reading_anew(read, packs)) {
        read = read_run(packs_anew, *page, place.entry, wanted, room, decoded_room);
      }
      CAIRN_CHECK(read);
      kept.assign(read->begin(), read->end());
      return ByteSpan(kept);
    });
    if (!run) {
      return tl::unexpected(with_context(
          run.error(),
          fmt::format("reading attachment '{}' of tag '{}'", name, checkpoint.tag().name)));
    }
    CAIRN_CHECK(sink(*run));
  }
  return {};
}

Status read_attachment(Checkpoint& checkpoint, std::string_view name,
                       const std::function<Status(ByteSpan)>& sink) {
  return guard_memory([&] { return read_runs(checkpoint, name, sink); });
}

}  // namespace cairn
