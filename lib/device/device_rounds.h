// The loop of a save over chunks with tensors on devices. A round is as many of them as the lanes
// can digest at a time:
//   begin    its digests are enqueued, while the device still works on those of the round before
//   decide   they have come; the host's own code compares, and says what is wanted
//   fetch    wanted chunks are gathered slab by slab, and cross over
//   store    another thread waits for slabs and stores what is in them
#pragma once

#include <deque>
#include <functional>
#include <map>

#include "lib/cairn.hpp"
#include "lib/chunk_units.h"
#include "lib/device/device_staging.h"
#include "lib/device/lane_digests.h"
#include "lib/device/resident_bases.h"
#include "lib/device/slab_storing.h"
#include "lib/device/staged_piece.h"
#include "lib/device/window_sender.h"

namespace cairn {

/// Threads: run() once; it uses threads of its own.
class DeviceRounds {
 public:
  DeviceRounds(DeviceStaging& staging, const Lanes& lanes, Slots& slots, const SavePlan& plan,
               std::span<const TensorSource> bases, ChunkSteps& steps, const CallOptions& call)
      : lanes_(lanes),
        plan_(plan),
        bases_(bases, plan),
        steps_(steps),
        call_(call),
        storing_(plan, steps, call, slots.count() + 1, lanes.begin()->first),
        sender_(staging.options(), lanes, slots, steps, storing_) {}

  /// `when_read`: called when the devices read the tensors no more.
  Status run(const std::function<Status()>& when_read);

 private:
  // Of digests, in bytes of a lane's memory; null: bytes that are carried.
  using Costs = std::map<Lane*, uint64_t>;
  /// Neighbouring chunks whose digests have room in the lanes together.
  struct Job {
    std::vector<ChunkUnits> chunks;
    std::vector<std::vector<StagedPiece>> pieces;  // by chunk
    Costs costs;
  };
  struct Round {
    std::vector<Job> jobs;
    std::map<Lane*, std::vector<StagedPiece*>> by_lane;
    std::map<Lane*, LaneDigests> digests;
    std::vector<StagedPiece*> carried;
  };

  static bool add_costs(const Costs& more, Costs& costs);
  Status run_rounds();
  Status prepare_more();
  Result<std::vector<Job>> prepare(uint64_t job);
  Job lay_out(ChunkUnits chunk) const;
  Lane* lane_of(const Content& content) const;
  Result<Round> begin_round();
  Status take_digests(Round& round);
  Status digest_carried(const std::vector<StagedPiece*>& pieces);
  Status decide(Round& round);
  Status fetch(Round& round);
  void look_for_bases(const ChunkUnits& chunk, std::vector<StagedPiece>& pieces);
  Status wait_until_read();

  const Lanes& lanes_;
  const SavePlan& plan_;
  const ResidentBases bases_;
  ChunkSteps& steps_;
  const CallOptions& call_;
  SlabStoring storing_;
  WindowSender sender_;
  uint64_t next_job_ = 0;
  std::deque<Job> prepared_;
  unsigned rounds_ = 0;
};

}  // namespace cairn
