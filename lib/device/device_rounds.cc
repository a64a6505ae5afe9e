#include "lib/device/device_rounds.h"

#include <algorithm>

#include "base/pipeline.h"

namespace cairn {

/// Jobs whose chunks are laid out at a time: enough for all threads, few enough to begin soon.
static constexpr uint64_t kJobsPrepared = 256;

Lane* DeviceRounds::lane_of(const Content& content) const {
  if (!content.device) return nullptr;
  Lane* const lane = lanes_.at(*content.device);
  const bool fits = lane->has_room() && digest_cost(content) <= lane->digests(0).bytes();
  return fits ? lane : nullptr;
}

Result<DeviceRounds::Job> DeviceRounds::prepare(uint64_t number) {
  Job job;
  CAIRN_TRY(job.chunks, steps_.prepare(number));
  for (ChunkUnits& chunk : job.chunks) {
    auto& pieces = job.pieces.emplace_back();
    for (DigestedUnit& unit : chunk.units) {
      if (!plan_.is_on_device(unit.unit)) continue;
      Piece& piece = pieces.emplace_back(Piece{&unit, content_of(plan_, unit.unit)});
      piece.lane = lane_of(piece.content);
    }
  }
  return job;
}

Status DeviceRounds::prepare_more() {
  const uint64_t count = std::min(kJobsPrepared, steps_.jobs() - next_job_);
  std::vector<Job> jobs(count);
  CAIRN_CHECK(parallel_for(count, call_.threads, [&](uint64_t i) -> Status {
    CAIRN_TRY(jobs[i], prepare(next_job_ + i));
    return {};
  }));
  std::move(jobs.begin(), jobs.end(), std::back_inserter(prepared_));
  next_job_ += count;
  return {};
}

/// Takes jobs while the lanes have room, and enqueues their digests. Without jobs: there are no
/// more.
Result<DeviceRounds::Round> DeviceRounds::begin_round() {
  Round round;
  std::map<Lane*, uint64_t> costs;
  const auto fits = [&](const Job& job) {
    auto sums = costs;
    for (const auto& pieces : job.pieces) {
      for (const Piece& piece : pieces) {
        if (piece.lane != nullptr) sums[piece.lane] += digest_cost(piece.content);
      }
    }
    for (const auto& [lane, sum] : sums) {
      if (sum > lane->digests(0).bytes()) return false;
    }
    costs = std::move(sums);
    return true;
  };
  for (;;) {
    if (prepared_.empty()) CAIRN_CHECK(prepare_more());
    if (prepared_.empty() || !fits(prepared_.front())) break;
    round.jobs.push_back(std::move(prepared_.front()));
    prepared_.pop_front();
  }
  for (Job& job : round.jobs) {
    for (auto& pieces : job.pieces) {
      for (Piece& piece : pieces) {
        (piece.lane != nullptr ? round.by_lane[piece.lane] : round.carried).push_back(&piece);
      }
    }
  }
  for (const auto& [lane, pieces] : round.by_lane) {
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(lane->device()));
    std::vector<const Content*> contents;
    for (const Piece* piece : pieces) contents.push_back(&piece->content);
    CAIRN_TRY(auto digests, LaneDigests::begin(*lane, rounds_, contents));
    round.digests.emplace(lane, std::move(digests));
  }
  ++rounds_;
  return round;
}

Status DeviceRounds::take_digests(Round& round) {
  for (const auto& [lane, pieces] : round.by_lane) {
    CAIRN_TRY(const auto digests, round.digests.at(lane).finish());
    for (size_t i = 0; i < pieces.size(); ++i) pieces[i]->unit->digest = digests[i];
  }
  AlignedBuffer room;
  for (Piece* piece : round.carried) {
    if (room.size() < piece->content.bytes) room = AlignedBuffer(piece->content.bytes);
    const MutableBytes bytes = room.span().first(piece->content.bytes);
    CAIRN_CHECK(carry(*piece, bytes));
    piece->unit->digest = blake3(bytes);
  }
  return {};
}

/// By plain copies, of all memories that have some of it.
Status DeviceRounds::carry(const Piece& piece, MutableBytes to) const {
  const auto& memories = piece.content.memories;
  copy_host_boxes(piece.content, to);
  for (const auto& [device, lane] : lanes_) {
    if (std::find(memories.begin(), memories.end(), device) == memories.end()) continue;
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(device));
    CAIRN_CHECK(lane->wait_for_caller());
    CAIRN_CHECK(carry_down(piece.content, device, lane->copies(), to));
  }
  return {};
}

static bool is_any_wanted(const ChunkUnits& chunk) {
  return std::any_of(chunk.units.begin(), chunk.units.end(),
                     [](const DigestedUnit& unit) { return unit.is_wanted; });
}

/// What is not wanted is done with.
Status DeviceRounds::decide(Round& round) {
  return parallel_for(round.jobs.size(), call_.threads, [&](uint64_t i) -> Status {
    CAIRN_CHECK(steps_.decide(round.jobs[i].chunks));
    for (const ChunkUnits& chunk : round.jobs[i].chunks) {
      if (!is_any_wanted(chunk)) CAIRN_CHECK(steps_.store(chunk));
    }
    return {};
  });
}

Status DeviceRounds::fetch(Round& round) {
  const StagingOptions& options = staging_.options();
  Window window;
  std::vector<Piece> pieces;
  uint64_t bytes = 0;
  const auto flush = [&]() -> Status {
    if (window.chunks.empty()) return {};
    bytes = 0;
    return send(std::exchange(window, {}), std::exchange(pieces, {}));
  };
  for (Job& job : round.jobs) {
    for (size_t i = 0; i < job.chunks.size(); ++i) {
      if (!is_any_wanted(job.chunks[i])) continue;
      uint64_t added = 0;
      for (const Piece& piece : job.pieces[i]) added += landed_bytes(piece.content.bytes);
      const bool fits = bytes + added <= options.slab_bytes &&
                        pieces.size() + job.pieces[i].size() <= slab_pieces_most(options);
      if (!fits) CAIRN_CHECK(flush());
      bytes += added;
      window.chunks.push_back(std::move(job.chunks[i]));
      std::move(job.pieces[i].begin(), job.pieces[i].end(), std::back_inserter(pieces));
    }
  }
  return flush();
}

/// Enqueues the way of a window's pieces to the host, and hands it on.
Status DeviceRounds::send(Window window, std::vector<Piece> pieces) {
  uint64_t bytes = 0;
  std::map<Lane*, std::vector<const Piece*>> by_lane;
  for (const Piece& piece : pieces) {
    bytes += landed_bytes(piece.content.bytes) + sizeof(Digest);
    by_lane[piece.lane].push_back(&piece);
  }
  window.slot = slots_.take(bytes);
  MutableBytes host = window.slot.span();
  // What is larger than a slab goes without one.
  const bool is_large = bytes > slots_.slot_bytes();
  for (const auto& [lane, of_lane] : by_lane) {
    if (lane == nullptr || is_large) {
      for (const Piece* piece : of_lane) {
        const MutableBytes to = host.first(piece->content.bytes);
        CAIRN_CHECK(carry(*piece, to));
        window.carried.push_back({piece->unit, to});
        host = host.subspan(landed_bytes(to.size()));
      }
      continue;
    }
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(lane->device()));
    Window::Landed landed;
    std::vector<const Content*> contents;
    uint64_t taken = 0;
    for (const Piece* piece : of_lane) {
      contents.push_back(&piece->content);
      landed.units.push_back(piece->unit);
      taken += landed_bytes(piece->content.bytes) + sizeof(Digest);
    }
    CAIRN_TRY(landed.landing, Landing::begin(*lane, slabs_[lane]++, contents, host.first(taken)));
    host = host.subspan(taken);
    window.landed.push_back(std::move(landed));
  }
  return storing_.give(std::move(window)) ? Status() : storing_.finish();
}

Status DeviceRounds::wait_until_read() {
  for (const auto& [device, lane] : lanes_) {
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(device));
    CAIRN_CHECK(gpu::synchronize(lane->work()));
  }
  return {};
}

Status DeviceRounds::run_rounds() {
  CAIRN_TRY(Round round, begin_round());
  while (!round.jobs.empty()) {
    CAIRN_CHECK(take_digests(round));
    CAIRN_TRY(Round next, begin_round());
    CAIRN_CHECK(decide(round));
    CAIRN_CHECK(fetch(round));
    round = std::move(next);
  }
  return wait_until_read();
}

Status DeviceRounds::run(const std::function<void()>& fence) {
  const Status done = run_rounds();
  if (done) {
    fence();
    return storing_.finish();
  }
  // Nothing is under way when the caller's tensors, and our slots, may go.
  for (const auto& [device, lane] : lanes_) static_cast<void>(lane->finish().has_value());
  return done;
}

}  // namespace cairn
