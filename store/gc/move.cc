// A move, in order (docs/PROTOCOL.md, section 6, says what holds when it ends between two):
//   C1 look    the plan and the entries it was made from are the caller's
//   C2 lease   a session of its own: its files are not garbage while it lives
//   C3 write   needed copies into new packs, each checked; new locators and tables; all durable
//   C4 swap    changes of the root: entries that are still those of the plan, some in each
//   C5 end     the lease goes; the old packs wait for reclaim()
#include "store/gc/move.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "base/buffer.h"
#include "base/pipeline.h"
#include "base/stop.h"
#include "store/gc/tag_swap.h"
#include "store/open_pack.h"
#include "store/pack_reader.h"
#include "store/session.h"
#include "store/tag_change.h"

namespace cairn {
namespace {

uint64_t pack_bytes(const MovePlan& plan) {
  uint64_t bytes = 0;
  for (const NewPack& pack : plan.packs) bytes += pack.file_bytes;
  return bytes;
}

class Move {
 public:
  Move(const Store& store, const MovePlan& plan, const MoveRequest& request, Moved& moved)
      : store_(store), plan_(plan), request_(request), moved_(moved), reader_(store) {}

  Status run(const Survey& survey) {
    CAIRN_TRY(session_,
              Session::begin(store_.fs(), store_.path(), "", std::nullopt, LeaseKind::kMove));
    MetaWriter metas(store_.fs(), store_.path(), session_->id());
    const Status done = write_and_swap(survey, metas);
    if (moved_.changes == 0 && !outcome_.may_be_visible) {
      session_->remove_files(static_cast<uint32_t>(plan_.packs.size()), metas.metas_begun());
    }
    // A lease that cannot be removed is the next collection's to find.
    (void)session_->end().has_value();
    return done;
  }

 private:
  Status write_and_swap(const Survey& survey, MetaWriter& metas) {
    if (request_.progress != nullptr) request_.progress->total_bytes += pack_bytes(plan_);
    CAIRN_CHECK(parallel_for(plan_.packs.size(), request_.threads,
                             [&](uint64_t number) { return write_pack(number); }));
    TagMover mover(store_, plan_, session_->id(), metas);
    TagBook book = survey.book;
    CAIRN_TRY(const PlannedSwaps planned, plan_swaps(store_, survey.list, book, mover));
    CAIRN_CHECK(metas.finish());
    moved_.written_bytes = pack_bytes(plan_) + metas.stored_bytes();
    const Status done =
        swap_tags(store_, session_->id(), planned.swaps, request_.wait, request_.stop, outcome_);
    moved_.changes = outcome_.changes;
    moved_.written_bytes += outcome_.table_bytes;
    return done;
  }

  Status write_pack(uint64_t number) {
    const NewPack& planned = plan_.packs[number];
    const FileId file{session_->id(), static_cast<uint32_t>(number)};
    CAIRN_TRY(const auto pack, OpenPack::begin(store_.fs(), store_.path(), file));
    std::vector<PackRange> ranges;
    for (const MovedCopy& moved : planned.copies) {
      const PackedCopy& row = moved.row;
      ranges.push_back({moved.source, row.offset, row.offset + row.stored_bytes});
    }
    AlignedBuffer room, decoded_room;
    for (const ReadJob& job : join_ranges(ranges, reader_.habits())) {
      CAIRN_CHECK(not_stopped());
      ByteSpan read;
      if (job.bytes.begin != job.bytes.end) {
        CAIRN_TRY(read, reader_.read(job.bytes, room));
      }
      for (const MovedCopy& moved : std::span(planned.copies).subspan(job.first, job.count)) {
        const uint64_t begin = moved.row.stored_bytes == 0 ? 0 : moved.row.offset - job.bytes.begin;
        CAIRN_CHECK(
            append(*pack, moved, read.subspan(begin, moved.row.stored_bytes), decoded_room));
      }
    }
    return pack->seal();
  }

  Status append(OpenPack& pack, const MovedCopy& moved, ByteSpan stored, AlignedBuffer& room) {
    const PackedCopy& row = moved.row;
    const Copy old{moved.source, row.offset, row.stored_bytes, row.decoded_bytes,
                   row.encoding, {},         row.parameters};
    const Status sound = reader_.check_alone(old, !row.bases.empty(), row.digest, stored, room);
    if (!sound) return note_damage(moved.source, sound.error());
    CAIRN_TRY(const Copy copy, pack.append({row.digest, row.encoding, row.decoded_bytes, stored,
                                            row.bases, row.parameters}));
    if (copy.offset != moved.new_offset) {
      return fail(Code::kBug, fmt::format("a copy came to lie at {} instead of {}", copy.offset,
                                          moved.new_offset));
    }
    if (request_.progress != nullptr) request_.progress->done_bytes += stored.size();
    return {};
  }

  Status note_damage(const FileId& pack, const Error& error) {
    const std::lock_guard lock(mutex_);
    moved_.damaged_pack = pack;
    return tl::unexpected(error);
  }

  Status not_stopped() const {
    if (!is_stopped(request_.stop)) return {};
    return fail(Code::kCancelled,
                "the move of copies was stopped; tags that were not moved are as they were");
  }

  const Store& store_;
  const MovePlan& plan_;
  const MoveRequest& request_;
  Moved& moved_;
  PackReader reader_;
  std::unique_ptr<Session> session_;
  SwapOutcome outcome_;
  std::mutex mutex_;  // of moved_.damaged_pack
};

}  // namespace

Result<MoveMeasure> measure_move(const Store& store, const Survey& survey, const MovePlan& plan) {
  const SessionId nobody;
  MetaWriter metas(store.fs(), store.path(), nobody, MetaWriter::Mode::kMeasure);
  TagMover mover(store, plan, nobody, metas);
  TagBook book = survey.book;
  CAIRN_TRY(const PlannedSwaps planned, plan_swaps(store, survey.list, book, mover));
  CAIRN_CHECK(metas.finish());
  return MoveMeasure{pack_bytes(plan) + metas.stored_bytes() + planned.table_bytes, mover.kept()};
}

Status move_copies(const Store& store, const Survey& survey, const MovePlan& plan,
                   const MoveRequest& request, Moved& moved) {
  return Move(store, plan, request, moved).run(survey);
}

}  // namespace cairn
