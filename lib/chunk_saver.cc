#include "lib/chunk_saver.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/pipeline.h"
#include "base/stop.h"
#include "store/chain_reader.h"

namespace cairn {

ChunkSaver::ChunkSaver(const Store& store, const SaveRequest& request, const SavePlan& plan,
                       BaseTag* base, ChunkWriter& writer, PackTables& tables, SavedPages& pages,
                       StagedSave* staged, bool weights_direct)
    : request_(request),
      plan_(plan),
      base_(base),
      staged_(staged),
      writer_(writer),
      groups_(group_items(plan, staged)),
      budget_(base, plan, groups_, request.restore_budget),
      clusters_(store, request, plan, base, budget_, writer, pages, weights_direct),
      pages_(pages),
      tables_(tables) {}

ChunkUnits ChunkSaver::units_of(const SaveGroup& group, uint64_t chunk) const {
  ChunkUnits units{&group, chunk, {}};
  for (const size_t item : group.items) {
    const PagePlan::Place place = plan_.pages.place(item, chunk);
    uint32_t number = 0;
    for (Unit& unit : plan_.units_of(item, chunk)) {
      const OwnPlace own{place.page, place.entry, number++};
      // What is in no pack of its own is told with the part.
      if (!plan_.is_small_piece(unit)) {
        const uint64_t bytes = plan_.unit_bytes(unit);
        units.units.push_back({std::move(unit), own, bytes});
      }
    }
  }
  return units;
}

/// Fills in rows and digests of what is in the host's memory. Units that cannot be hashed where
/// they lie are gathered first, into `room`.
void ChunkSaver::digest(std::vector<ChunkUnits>& chunks, AlignedBuffer& room) const {
  std::vector<DigestedUnit*> units, scattered;
  uint64_t scattered_bytes = 0;
  for (ChunkUnits& chunk : chunks) {
    for (DigestedUnit& unit : chunk.units) {
      if (plan_.is_on_device(unit.unit)) continue;
      units.push_back(&unit);
      if (const auto rows = rows_of(plan_, unit.unit)) {
        unit.rows = *rows;
      } else {
        scattered.push_back(&unit);
        scattered_bytes += unit.bytes;
      }
    }
  }
  if (room.size() < scattered_bytes) room = AlignedBuffer(scattered_bytes);
  uint64_t taken = 0;
  for (DigestedUnit* unit : scattered) {
    gather(plan_, unit->unit, room.span().subspan(taken, unit->bytes));
    unit->rows = {room.data() + taken, unit->bytes};
    taken += unit->bytes;
  }
  std::vector<DigestInput> inputs;
  for (const DigestedUnit* unit : units) inputs.push_back(unit->rows);
  std::vector<Digest> digests(units.size());
  blake3_many(inputs, digests);
  for (size_t u = 0; u < units.size(); ++u) units[u]->digest = digests[u];
}

std::vector<ChunkUnits> ChunkSaver::units_of(const ChunkJob& job) const {
  std::vector<ChunkUnits> chunks;
  for (const auto& [group, first, count] : job) {
    for (uint64_t i = 0; i < count; ++i) chunks.push_back(units_of(*group, first + i));
  }
  return chunks;
}

Status ChunkSaver::check_not_stopped() const {
  return unless_stopped(request_.call.stop, "the save");
}

Status ChunkSaver::decide(std::vector<ChunkUnits>& chunks) {
  for (ChunkUnits& chunk : chunks) settle(chunk);
  CAIRN_CHECK(look_up(chunks));
  return tables_.reached();
}

Status ChunkSaver::store(const ChunkUnits& chunk) {
  CAIRN_CHECK(clusters_.write_new(chunk));
  if (request_.call.progress == nullptr) return {};
  for (const DigestedUnit& unit : chunk.units) request_.call.progress->done_bytes += unit.bytes;
  return {};
}

/// Copies what the host has of a chunk that is to be stored, maybe after the fence.
Status ChunkSaver::keep(ChunkUnits& chunk) const {
  const bool is_any_wanted = std::any_of(chunk.units.begin(), chunk.units.end(),
                                         [](const DigestedUnit& unit) { return unit.is_wanted; });
  if (!is_any_wanted || request_.are_still) return {};
  for (DigestedUnit& unit : chunk.units) {
    if (plan_.is_on_device(unit.unit)) continue;
    const MutableBytes bytes = chunk.copies.emplace_back(unit.bytes).span().first(unit.bytes);
    gather(plan_, unit.unit, bytes);
    if (unit.digest != blake3(bytes)) return changed_while_read(plan_.name(unit.unit.item));
    unit.rows = {bytes.data(), bytes.size()};
    unit.is_copied = true;
  }
  return {};
}

Status ChunkSaver::save_job(const ChunkJob& job) {
  CAIRN_CHECK(check_not_stopped());
  std::vector<ChunkUnits> chunks = units_of(job);
  thread_local AlignedBuffer room;
  digest(chunks, room);
  CAIRN_CHECK(decide(chunks));
  for (const ChunkUnits& chunk : chunks) CAIRN_CHECK(store(chunk));
  return {};
}

/// Makes the entries of the chunk of all items, and finds which units must be stored.
void ChunkSaver::settle(ChunkUnits& chunk) {
  for (size_t first = 0, last = 0; first < chunk.units.size(); first = last) {
    const size_t item = chunk.units[first].unit.item;
    while (last < chunk.units.size() && chunk.units[last].unit.item == item) ++last;
    const std::span units = std::span(chunk.units).subspan(first, last - first);
    settle_item(item, chunk, units);
  }
}

/// Whether the base's copies of a chunk would not do although it is the same: where chains end all
/// members begin anew, for some are made from others.
bool ChunkSaver::must_renew(size_t item, const ChunkUnits& chunk, std::span<const Copy> copies) {
  const bool has_bases = std::any_of(copies.begin(), copies.end(),
                                     [](const Copy& copy) { return !copy.bases.empty(); });
  if (!has_bases) return false;
  if (budget_.is_due(*chunk.group, chunk.chunk)) return true;
  return clusters_.must_stand_alone(item) && !base_->stands_alone(item, chunk.chunk);
}

ChunkEntry ChunkSaver::entry_of(std::span<const DigestedUnit> units) const {
  if (units[0].unit.is_piece) {
    std::vector<Piece> pieces;
    for (const DigestedUnit& each : units) {
      pieces.push_back({each.unit.box.offsets, each.unit.box.lengths, each.digest});
    }
    return pieces;
  }
  if (units[0].bytes > kInlineBytesMax) return units[0].digest;
  const DigestedUnit& unit = units[0];
  if (unit.rows.rows <= 1) return Bytes(unit.rows.data, unit.rows.data + unit.bytes);
  Bytes bytes(unit.bytes);
  gather(plan_, unit.unit, bytes);
  return bytes;
}

/// Makes the chunk's entry, and finds which of its units must be stored.
void ChunkSaver::settle_item(size_t item, const ChunkUnits& chunk, std::span<DigestedUnit> units) {
  const OwnPlace& place = units[0].place;
  const ChunkEntry entry = entry_of(units);
  const bool is_inline = std::holds_alternative<Bytes>(entry);
  pages_.set_entry(place, entry);
  for (DigestedUnit& unit : units) unit.is_wanted = !is_inline;
  if (base_ != nullptr) {
    const auto copies = base_->equal_copies(item, chunk.chunk, entry);
    const bool must_change = copies && !is_inline && must_renew(item, chunk, *copies);
    if (must_change) pages_.renew(place);
    if (copies && !must_change && are_there(item, chunk.chunk, *copies, entry)) {
      for (DigestedUnit& unit : units) unit.is_wanted = false;
      return pages_.take_from_base(place);
    }
    if (!copies && units[0].unit.is_piece) keep_equal_pieces(item, chunk, units);
    if (!copies && units[0].is_wanted && item >= plan_.tensors.size()) take_moved(units[0]);
  }
  if (is_inline && item < plan_.tensors.size()) writer_.count_inline(units[0].bytes);
}

/// A chunk of an attachment that the base has at another place: what lies before it has grown or
/// shrunk. Copies of attachments are made from no others, so it is as good as one looked up.
void ChunkSaver::take_moved(DigestedUnit& unit) {
  const auto copy = base_->moved_copy(unit.unit.item, unit.digest);
  if (!copy || !copy->bases.empty() || !tables_.holds(*copy, unit.digest)) return;
  writer_.reuse(unit.digest, *copy);
  unit.is_wanted = false;
}

/// Where some pieces of a chunk are the base's and others are not, or not here.
void ChunkSaver::keep_equal_pieces(size_t item, const ChunkUnits& chunk,
                                   std::span<DigestedUnit> units) {
  const bool begins_anew =
      budget_.is_due(*chunk.group, chunk.chunk) ||
      (clusters_.must_stand_alone(item) && !base_->stands_alone(item, chunk.chunk));
  for (DigestedUnit& unit : units) {
    const auto before = base_->unit_at(item, chunk.chunk, &unit.unit.box);
    if (!before || before->digest != unit.digest) continue;
    auto copy = base_->copy_of(before->ref);
    if (!copy) continue;
    if (begins_anew && !copy->bases.empty()) {
      pages_.renew(unit.place);
      continue;
    }
    const auto decoding = plan_decoding(base_->checkpoint(), {&before->ref, 1});
    if (!decoding || !hold_all(tables_, *decoding)) continue;
    pages_.set_copy(unit.place, ChunkCopy::of_base(*std::move(copy)));
    unit.is_wanted = false;
  }
}

Status ChunkSaver::look_up(const std::vector<ChunkUnits>& chunks) {
  if (!request_.look_up) return {};
  std::vector<Digest> wanted;
  for (const ChunkUnits& chunk : chunks) {
    for (const DigestedUnit& unit : chunk.units) {
      if (unit.is_wanted) wanted.push_back(unit.digest);
    }
  }
  if (wanted.empty()) return {};
  std::vector<std::optional<Copy>> found(wanted.size());
  const std::lock_guard lock(look_up_mutex_);
  // A look-up that fails finds nothing: the chunks are written.
  if (!request_.look_up(wanted, found)) return {};
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!found[i]) continue;
    if (const auto whole = tables_.complete(*found[i], wanted[i])) writer_.reuse(wanted[i], *whole);
  }
  return {};
}

/// Whether the packs of an entry's copies, and of all that these are made from, hold them. The
/// commit looks once more for the packs that a look-up brought in, under the lock; those of the
/// base are leased.
bool ChunkSaver::are_there(size_t item, uint64_t chunk, std::span<const Copy> copies,
                           const ChunkEntry& entry) {
  const bool has_bases = std::any_of(copies.begin(), copies.end(),
                                     [](const Copy& copy) { return !copy.bases.empty(); });
  if (has_bases) {
    const auto plan = base_->plan_of(item, chunk);
    return plan && hold_all(tables_, *plan);
  }
  bool all = true;
  for_each_stored(entry, copies, [&](const Digest& digest, const Copy& copy) {
    all = all && tables_.holds(copy, digest);
  });
  return all;
}

/// The steps of chunks with tensors on devices, for whoever brings their bytes.
class ChunkSaver::Steps final : public ChunkSteps {
 public:
  Steps(ChunkSaver& saver, std::vector<ChunkJob> jobs) : saver_(saver), jobs_(std::move(jobs)) {}

  uint64_t jobs() const override { return jobs_.size(); }
  Result<std::vector<ChunkUnits>> prepare(uint64_t job) override {
    CAIRN_CHECK(saver_.check_not_stopped());
    std::vector<ChunkUnits> chunks = saver_.units_of(jobs_[job]);
    AlignedBuffer room;
    saver_.digest(chunks, room);
    if (room.size() > 0) {
      const std::lock_guard lock(mutex_);
      rooms_.push_back(std::move(room));
    }
    return chunks;
  }
  Status decide(std::vector<ChunkUnits>& chunks) override {
    CAIRN_CHECK(saver_.decide(chunks));
    for (ChunkUnits& chunk : chunks) CAIRN_CHECK(saver_.keep(chunk));
    return {};
  }
  std::vector<std::optional<Digest>> base_digests(const ChunkUnits& chunk) override {
    return saver_.clusters_.base_digests(chunk);
  }
  std::optional<TransferRecipes> recipes(const ChunkUnits& chunk) override {
    return saver_.clusters_.recipes(chunk);
  }
  void learn(const ChunkUnits& chunk, std::span<const ByteSpan> now,
             std::span<const ByteSpan> before) override {
    saver_.clusters_.learn(chunk, now, before);
  }
  Status recall(const ChunkUnits& chunk, std::span<const MutableBytes> rooms) override {
    return saver_.clusters_.recall(chunk, rooms);
  }
  Status store(const ChunkUnits& chunk) override { return saver_.store(chunk); }

 private:
  ChunkSaver& saver_;
  const std::vector<ChunkJob> jobs_;
  std::mutex mutex_;
  std::vector<AlignedBuffer> rooms_;  // of the host's units, for as long as chunks point there
};

Status ChunkSaver::run_on_host(std::span<const SaveGroup* const> groups) {
  const auto jobs = make_jobs(plan_, groups);
  return parallel_for(jobs.size(), request_.call.threads,
                      [&](uint64_t job) { return save_job(jobs[job]); });
}

/// Whether a device has any tensor of the group.
bool ChunkSaver::is_on_device(const SaveGroup& group) const {
  return std::any_of(group.items.begin(), group.items.end(), [&](size_t item) {
    if (item >= plan_.tensors.size()) return false;
    const auto& boxes = plan_.tensors[item].boxes;
    return std::any_of(boxes.begin(), boxes.end(),
                       [](const SourceBox& box) { return box.device.has_value(); });
  });
}

Status ChunkSaver::run() {
  if (request_.call.progress != nullptr) {
    request_.call.progress->total_bytes = plan_.bytes_here();
  }
  // Tensors that stand alone come last: they may use what those of the groups have stored.
  std::vector<const SaveGroup*> on_devices, joined, alone, attachments;
  for (const SaveGroup& group : groups_) {
    if (group.items.front() >= plan_.tensors.size()) {
      attachments.push_back(&group);
    } else if (is_on_device(group)) {
      on_devices.push_back(&group);
    } else {
      (group.items.size() > 1 ? joined : alone).push_back(&group);
    }
  }
  // While what devices have brought is still being stored.
  const auto run_rest = [&]() -> Status {
    if (request_.are_still) call_fence();
    CAIRN_CHECK(run_on_host(joined));
    CAIRN_CHECK(run_on_host(alone));
    call_fence();
    return run_on_host(attachments);
  };
  if (on_devices.empty()) return run_rest();
  Steps steps(*this, make_jobs(plan_, on_devices));
  return staged_->run(plan_, request_.base_memory, steps, request_.call, run_rest);
}

void ChunkSaver::call_fence() {
  if (request_.fence && !std::exchange(is_fence_called_, true)) request_.fence();
}

}  // namespace cairn
