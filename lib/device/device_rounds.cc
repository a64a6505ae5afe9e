#include "lib/device/device_rounds.h"

#include <algorithm>
#include <utility>

#include "base/pipeline.h"
#include "lib/device/carry.h"

namespace cairn {

/// Bytes of a round that go by plain copies: little enough that it is soon decided on.
static constexpr uint64_t kCarriedMost = 64 * kMiB;

/// Jobs whose chunks are laid out at a time: enough for all threads, few enough to begin soon.
static constexpr uint64_t kJobsPrepared = 256;

Lane* DeviceRounds::lane_of(const Content& content) const {
  if (!content.device) return nullptr;
  Lane* const lane = lanes_.at(*content.device);
  const bool fits = lane->has_room() && digest_cost(content) <= lane->digests(0).bytes();
  return fits ? lane : nullptr;
}

/// False, and nothing is added, when a lane has no room for the sum.
bool DeviceRounds::add_costs(const Costs& more, Costs& costs) {
  Costs sums = costs;
  for (const auto& [lane, cost] : more) {
    sums[lane] += cost;
    if (sums[lane] > (lane == nullptr ? kCarriedMost : lane->digests(0).bytes())) return false;
  }
  costs = std::move(sums);
  return true;
}

/// A chunk by itself. What the lanes have no room for beside the rest of it is carried.
DeviceRounds::Job DeviceRounds::lay_out(ChunkUnits chunk) const {
  Job job;
  job.chunks.push_back(std::move(chunk));
  auto& pieces = job.pieces.emplace_back();
  for (DigestedUnit& unit : job.chunks.front().units) {
    if (!plan_.is_on_device(unit.unit)) continue;
    StagedPiece& piece = pieces.emplace_back(StagedPiece{&unit, content_of(plan_, unit.unit)});
    piece.lane = lane_of(piece.content);
    const bool fits =
        piece.lane == nullptr || add_costs({{piece.lane, digest_cost(piece.content)}}, job.costs);
    if (!fits) piece.lane = nullptr;
    if (piece.lane == nullptr) job.costs[nullptr] += piece.content.bytes;
  }
  return job;
}

/// More jobs than one where the lanes have no room for all of it at a time.
Result<std::vector<DeviceRounds::Job>> DeviceRounds::prepare(uint64_t number) {
  CAIRN_TRY(auto chunks, steps_.prepare(number));
  std::vector<Job> jobs;
  for (ChunkUnits& chunk : chunks) {
    Job next = lay_out(std::move(chunk));
    if (jobs.empty() || !add_costs(next.costs, jobs.back().costs)) {
      jobs.push_back(std::move(next));
      continue;
    }
    jobs.back().chunks.push_back(std::move(next.chunks.front()));
    jobs.back().pieces.push_back(std::move(next.pieces.front()));
  }
  return jobs;
}

Status DeviceRounds::prepare_more() {
  const uint64_t count = std::min(kJobsPrepared, steps_.jobs() - next_job_);
  std::vector<std::vector<Job>> jobs(count);
  CAIRN_CHECK(parallel_for(count, call_.threads, [&](uint64_t i) -> Status {
    CAIRN_TRY(jobs[i], prepare(next_job_ + i));
    return {};
  }));
  for (auto& parts : jobs) std::move(parts.begin(), parts.end(), std::back_inserter(prepared_));
  next_job_ += count;
  return {};
}

/// Takes jobs while the lanes have room, and enqueues their digests. Without jobs: there are no
/// more.
Result<DeviceRounds::Round> DeviceRounds::begin_round() {
  Round round;
  Costs costs;
  for (;;) {
    if (prepared_.empty()) CAIRN_CHECK(prepare_more());
    if (prepared_.empty()) break;
    // One that is more than a round takes is a round by itself.
    if (!add_costs(prepared_.front().costs, costs) && !round.jobs.empty()) break;
    round.jobs.push_back(std::move(prepared_.front()));
    prepared_.pop_front();
  }
  for (Job& job : round.jobs) {
    for (auto& pieces : job.pieces) {
      for (StagedPiece& piece : pieces) {
        (piece.lane != nullptr ? round.by_lane[piece.lane] : round.carried).push_back(&piece);
      }
    }
  }
  for (const auto& [lane, pieces] : round.by_lane) {
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(lane->device()));
    std::vector<const Content*> contents;
    for (const StagedPiece* piece : pieces) contents.push_back(&piece->content);
    CAIRN_TRY(auto digests, LaneDigests::begin(*lane, rounds_, contents));
    round.digests.emplace(lane, std::move(digests));
  }
  ++rounds_;
  return round;
}

Status DeviceRounds::take_digests(Round& round) {
  for (const auto& [lane, pieces] : round.by_lane) {
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(lane->device()));
    CAIRN_TRY(const auto digests, round.digests.at(lane).finish());
    for (size_t i = 0; i < pieces.size(); ++i) pieces[i]->unit->digest = digests[i];
  }
  return digest_carried(round.carried);
}

Status DeviceRounds::digest_carried(const std::vector<StagedPiece*>& pieces) {
  uint64_t all_bytes = 0;
  for (const StagedPiece* piece : pieces) all_bytes += piece->content.bytes;
  const AlignedBuffer room(all_bytes);
  std::vector<MutableBytes> contents;
  for (uint64_t at = 0; const StagedPiece* piece : pieces) {
    contents.push_back(room.span().subspan(at, piece->content.bytes));
    CAIRN_CHECK(carry(lanes_, piece->content, contents.back()));
    at += piece->content.bytes;
  }
  return parallel_for(pieces.size(), call_.threads, [&](uint64_t i) -> Status {
    pieces[i]->unit->digest = blake3(contents[i]);
    return {};
  });
}

static bool is_any_wanted(const ChunkUnits& chunk) {
  return std::any_of(chunk.units.begin(), chunk.units.end(),
                     [](const DigestedUnit& unit) { return unit.is_wanted; });
}

/// What is not wanted is done with, and given back by the threads that found that out.
Status DeviceRounds::decide(Round& round) {
  return parallel_for(round.jobs.size(), call_.threads, [&](uint64_t i) -> Status {
    Job job = std::move(round.jobs[i]);
    CAIRN_CHECK(steps_.decide(job.chunks));
    Job wanted;
    for (size_t c = 0; c < job.chunks.size(); ++c) {
      if (is_any_wanted(job.chunks[c])) {
        look_for_bases(job.chunks[c], job.pieces[c]);
        wanted.chunks.push_back(std::move(job.chunks[c]));
        wanted.pieces.push_back(std::move(job.pieces[c]));
      } else {
        CAIRN_CHECK(steps_.store(job.chunks[c]));
      }
    }
    round.jobs[i] = std::move(wanted);
    return {};
  });
}

/// Of what is wanted.
Status DeviceRounds::fetch(Round& round) {
  std::vector<ChunkPieces> wanted;
  for (Job& job : round.jobs) {
    for (size_t i = 0; i < job.chunks.size(); ++i) {
      wanted.push_back({std::move(job.chunks[i]), std::move(job.pieces[i])});
    }
  }
  return sender_.send(std::move(wanted));
}

/// What was there before, where it is on the device too.
void DeviceRounds::look_for_bases(const ChunkUnits& chunk, std::vector<StagedPiece>& pieces) {
  if (bases_.is_empty()) return;
  const auto digests = steps_.base_digests(chunk);
  for (StagedPiece& piece : pieces) {
    if (piece.lane == nullptr) continue;
    piece.before = bases_.before(piece.unit->unit, piece.lane->device());
    piece.before_digest = digests[static_cast<size_t>(piece.unit - chunk.units.data())];
  }
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
    // Laid out while the device digests this one, which it goes on from.
    CAIRN_TRY(Round next, begin_round());
    CAIRN_CHECK(take_digests(round));
    CAIRN_CHECK(decide(round));
    CAIRN_CHECK(fetch(round));
    round = std::move(next);
  }
  return wait_until_read();
}

Status DeviceRounds::run(const std::function<Status()>& when_read) {
  const Status done = run_rounds();
  if (!done) return done;
  CAIRN_CHECK(when_read());
  return storing_.finish();
}

}  // namespace cairn
