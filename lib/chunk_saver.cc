#include "lib/chunk_saver.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/pipeline.h"
#include "gpu/chunk_digester.h"
#include "lib/step_facts.h"
#include "lib/strided.h"
#include "store/chain_reader.h"

namespace cairn {

/// A worker's turn: enough bytes that the digest's lanes stay full and locks are rare, little
/// enough that gathered chunks stay in the cache.
static constexpr uint64_t kJobBytes = 2 * kMiB;
static constexpr size_t kJobChunksMax = 256;
/// Attachments are text and JSON more often than not.
static constexpr int kAttachmentZstdLevel = 3;

/// Consecutive chunks of one group.
struct ChunkSaver::JobPart {
  const SaveGroup* group = nullptr;
  uint64_t first = 0, count = 0;
};

/// Where little time may be spent, what stands by itself is encoded while the disk is busy anyway.
std::function<bool()> ChunkSaver::time_to_encode() const {
  if (request_.effort != Effort::kFast || request_.zstd_level != 0) return nullptr;
  return [this] { return writer_.is_disk_behind(); };
}

ChunkSaver::ChunkSaver(const Store& store, const SaveRequest& request, const SavePlan& plan,
                       BaseTag* base, ChunkWriter& writer, PackTables& tables, SavedPages& pages,
                       bool weights_direct)
    : store_(store),
      request_(request),
      plan_(plan),
      base_(base),
      writer_(writer),
      weights_direct_(weights_direct),
      encoder_({request.effort, request.zstd_level, request.optimizer.predict, time_to_encode()}),
      opaque_encoder_({request.effort, kAttachmentZstdLevel, false}),
      base_memory_(request.base_memory, plan),
      budget_(nullptr, plan, {}, request.restore_budget),
      groups_(group_items(plan)),
      facts_(step_facts_of(request, plan)),
      pages_(pages),
      tables_(tables),
      packs_(store) {
  budget_ = RestoreBudget(base, plan, groups_, request.restore_budget);
}

/// About: of an attachment's, the average.
uint64_t ChunkSaver::chunk_bytes(size_t item) const {
  if (item >= plan_.tensors.size()) {
    const AttachmentInfo& attachment = plan_.attachment_infos[item - plan_.tensors.size()];
    return ceil_div(attachment.bytes, attachment.edges.count());
  }
  const PlannedTensor& tensor = plan_.tensors[item];
  return tensor.grid.chunk_box(0).elements() * tensor.form.item_bytes;
}

/// Cuts the chunks of all groups into parts, and the parts into jobs.
std::vector<std::vector<ChunkSaver::JobPart>> ChunkSaver::make_jobs(
    std::span<const SaveGroup> groups) const {
  std::vector<std::vector<JobPart>> jobs;
  uint64_t room_bytes = 0, room_chunks = 0;
  for (const SaveGroup& group : groups) {
    uint64_t bytes = 1;
    for (const size_t item : group.items) bytes += chunk_bytes(item);
    for (uint64_t first = 0; first < group.chunks;) {
      if (room_bytes == 0 || room_chunks == 0) {
        jobs.emplace_back();
        room_bytes = kJobBytes;
        room_chunks = kJobChunksMax;
      }
      const uint64_t count =
          std::min({group.chunks - first, room_chunks, ceil_div(room_bytes, bytes)});
      jobs.back().push_back({&group, first, count});
      room_bytes -= std::min(room_bytes, count * bytes);
      room_chunks -= count;
      first += count;
    }
  }
  return jobs;
}

/// Where a unit lies as rows that can be hashed in place; nullopt when its bytes come from several
/// boxes, or by more than one stride.
std::optional<DigestInput> ChunkSaver::rows_of(const Unit& unit) const {
  if (unit.item >= plan_.tensors.size()) {
    const ByteSpan bytes = plan_.attachments[unit.item - plan_.tensors.size()].bytes;
    return DigestInput{bytes.data() + unit.box.offsets[0], unit.box.lengths[0]};
  }
  const PlannedTensor& tensor = plan_.tensors[unit.item];
  if (unit.sources.size() != 1) return std::nullopt;
  const SourceBox& source = tensor.boxes[unit.sources[0]];
  const StridedSource at =
      sub_box(StridedSource{source.data, source.strides_bytes}, source.box, unit.box);
  const auto rows = as_rows(at.strides_bytes, unit.box.lengths, tensor.form.item_bytes);
  if (!rows) return std::nullopt;
  return DigestInput{at.data, rows->row_bytes, rows->stride_bytes, rows->rows};
}

/// The unit's bytes one after the other, those that were digested: as they lie where nothing writes
/// to them and they do, else in `room`. Whoever reads them twice reads the same.
Result<ByteSpan> ChunkSaver::bytes_of(const DigestedUnit& digested, AlignedBuffer& room) const {
  const bool is_tensor = digested.unit.item < plan_.tensors.size();
  const bool is_still = request_.are_still || !is_tensor;
  if (is_still && digested.rows.rows <= 1) return ByteSpan(digested.rows.data, digested.bytes);
  if (room.size() < digested.bytes) room = AlignedBuffer(digested.bytes);
  const MutableBytes bytes = room.span().first(digested.bytes);
  gather(plan_, digested.unit, bytes);
  if (is_still || digested.digest == blake3(bytes)) return ByteSpan(bytes);
  return fail(Code::kUsage,
              fmt::format("tensor '{}' changed while it was saved", plan_.name(digested.unit.item)),
              "let nothing write to it until the call returns, or save a copy");
}

ChunkSaver::ChunkUnits ChunkSaver::units_of(const SaveGroup& group, uint64_t chunk) const {
  ChunkUnits units{&group, chunk, {}};
  for (const size_t item : group.items) {
    const PagePlan::Place place = plan_.pages.place(item, chunk);
    uint32_t number = 0;
    for (Unit& unit : plan_.units_of(item, chunk)) {
      const OwnPlace own{place.page, place.entry, number++};
      // What is in no pack of its own is told with the part.
      if (!plan_.is_small_piece(unit)) {
        units.units.push_back({std::move(unit), own, 0, {}, {}, false});
      }
    }
  }
  return units;
}

/// Fills in rows and digests. Units that cannot be hashed where they lie are gathered first; they
/// stay in the thread's room until its next call.
Status ChunkSaver::digest(std::vector<ChunkUnits>& chunks) const {
  std::vector<DigestedUnit*> units, scattered;
  uint64_t scattered_bytes = 0;
  for (ChunkUnits& chunk : chunks) {
    for (DigestedUnit& unit : chunk.units) {
      units.push_back(&unit);
      unit.bytes = plan_.unit_bytes(unit.unit);
      if (const auto rows = rows_of(unit.unit)) {
        unit.rows = *rows;
      } else {
        scattered.push_back(&unit);
        scattered_bytes += unit.bytes;
      }
    }
  }
  thread_local AlignedBuffer room;
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
  CAIRN_CHECK(host_digester().digest(inputs, digests));
  for (size_t u = 0; u < units.size(); ++u) units[u]->digest = digests[u];
  return {};
}

Status ChunkSaver::save_job(const std::vector<JobPart>& parts) {
  if (request_.call.stop != nullptr && *request_.call.stop) {
    return fail(Code::kCancelled, "the save was stopped");
  }
  std::vector<ChunkUnits> chunks;
  for (const auto& [group, first, count] : parts) {
    for (uint64_t i = 0; i < count; ++i) chunks.push_back(units_of(*group, first + i));
  }
  CAIRN_CHECK(digest(chunks));
  for (ChunkUnits& chunk : chunks) settle(chunk);
  CAIRN_CHECK(look_up(chunks));
  for (ChunkUnits& chunk : chunks) CAIRN_CHECK(write_new(chunk));
  if (request_.call.progress == nullptr) return {};
  for (const ChunkUnits& chunk : chunks) {
    for (const DigestedUnit& unit : chunk.units) request_.call.progress->done_bytes += unit.bytes;
  }
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

/// Whether the item's copies must not be made from those of other tensors.
bool ChunkSaver::must_stand_alone(size_t item) const {
  if (!weights_direct_ || item >= plan_.tensors.size()) return false;
  const TensorSource& source = *plan_.tensors[item].first;
  return is_weight(source.role, source.dtype);
}

/// Whether the base's copies of a chunk would not do although it is the same: where chains end all
/// members begin anew, for some are made from others.
bool ChunkSaver::must_renew(size_t item, const ChunkUnits& chunk, std::span<const Copy> copies) {
  const bool has_bases = std::any_of(copies.begin(), copies.end(),
                                     [](const Copy& copy) { return !copy.bases.empty(); });
  if (!has_bases) return false;
  if (budget_.is_due(*chunk.group, chunk.chunk)) return true;
  return must_stand_alone(item) && !base_->stands_alone(item, chunk.chunk);
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
  const bool begins_anew = budget_.is_due(*chunk.group, chunk.chunk) ||
                           (must_stand_alone(item) && !base_->stands_alone(item, chunk.chunk));
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

/// Puts units of the same box together, one of each item.
Status ChunkSaver::write_new(ChunkUnits& chunk) {
  const std::vector<DigestedUnit>& units = chunk.units;
  std::vector<bool> taken(units.size());
  for (size_t first = 0; first < units.size(); ++first) {
    if (taken[first]) continue;
    std::vector<size_t> cluster;
    bool is_wanted = false;
    for (size_t u = first; u < units.size(); ++u) {
      const bool belongs = !taken[u] && units[u].unit.is_piece == units[first].unit.is_piece &&
                           (u == first || units[u].unit.box == units[first].unit.box);
      if (!belongs) continue;
      taken[u] = true;
      cluster.push_back(u);
      is_wanted = is_wanted || units[u].is_wanted;
    }
    if (is_wanted) CAIRN_CHECK(write_cluster(chunk, cluster));
  }
  return {};
}

static ItemForm form_of(const TensorSource& source) {
  // Sub-byte elements are taken by the byte; the halves of a complex number are floats.
  const uint32_t bits = bits_per_element(source.dtype);
  if (bits < 8) return {};
  const auto bytes = static_cast<uint8_t>(source.dtype == Dtype::kC64 ? 4 : bits / 8);
  return {bytes, is_float(source.dtype)};
}

Result<Cluster> ChunkSaver::cluster_of(const ChunkUnits& chunk, std::span<const size_t> numbers) {
  thread_local std::vector<AlignedBuffer> rooms;
  if (rooms.size() < numbers.size()) rooms.resize(numbers.size());
  Cluster cluster;
  for (const size_t number : numbers) {
    const DigestedUnit& unit = chunk.units[number];
    Member& member = cluster.emplace_back();
    member.item = unit.unit.item;
    member.digest = unit.digest;
    member.place = unit.place;
    member.is_tensor = unit.unit.item < plan_.tensors.size();
    member.is_inline = !unit.unit.is_piece && unit.bytes <= kInlineBytesMax;
    member.is_wanted = unit.is_wanted;
    CAIRN_TRY(member.now, bytes_of(unit, rooms[cluster.size() - 1]));
    if (!member.is_tensor) continue;
    const TensorSource& source = *plan_.tensors[unit.unit.item].first;
    member.role = source.role;
    member.dtype = source.dtype;
    member.form = form_of(source);
    if (base_ == nullptr) continue;
    member.base =
        base_->unit_at(unit.unit.item, chunk.chunk, unit.unit.is_piece ? &unit.unit.box : nullptr);
    if (member.base && member.base->decoded_bytes != unit.bytes) member.base.reset();
    if (member.base && must_stand_alone(member.item) &&
        !base_->stands_alone(member.item, chunk.chunk)) {
      member.base.reset();
    }
  }
  return cluster;
}

/// What the caller has of the base at the same boxes.
void ChunkSaver::recall_before(const ChunkUnits& chunk, std::span<const size_t> numbers,
                               Cluster& cluster) const {
  if (base_memory_.is_empty()) return;
  thread_local std::vector<AlignedBuffer> rooms;
  if (rooms.size() < cluster.size()) rooms.resize(cluster.size());
  for (size_t i = 0; i < cluster.size(); ++i) {
    Member& member = cluster[i];
    if (!member.base) continue;
    const uint64_t bytes = member.base->decoded_bytes;
    if (rooms[i].size() < bytes) rooms[i] = AlignedBuffer(bytes);
    const MutableBytes room = rooms[i].span().first(bytes);
    const Box& box = chunk.units[numbers[i]].unit.box;
    if (base_memory_.recall(member.item, box, member.base->digest, room)) member.before = room;
  }
}

/// The bytes of the base at the same boxes. What cannot be read is not built upon.
void ChunkSaver::read_before(Cluster& cluster) {
  thread_local std::vector<AlignedBuffer> rooms;
  if (rooms.size() < cluster.size()) rooms.resize(cluster.size());
  std::vector<CopyRef> refs;
  std::vector<size_t> members;
  for (size_t i = 0; i < cluster.size(); ++i) {
    if (!cluster[i].base || !cluster[i].before.empty()) continue;
    refs.push_back(cluster[i].base->ref);
    members.push_back(i);
  }
  if (refs.empty()) return;
  const auto keep = [&](size_t number, ByteSpan decoded) -> Status {
    const size_t i = members[number];
    if (rooms[i].size() < decoded.size()) rooms[i] = AlignedBuffer(decoded.size());
    std::copy(decoded.begin(), decoded.end(), rooms[i].data());
    cluster[i].before = rooms[i].span().first(decoded.size());
    return {};
  };
  if (ChainReader(base_->checkpoint(), packs_).read(refs, keep)) return;
  for (const size_t i : members) {
    cluster[i].before = {};
    base_->note_unread(cluster[i].base->ref);
  }
}

Status ChunkSaver::write_cluster(const ChunkUnits& chunk, std::span<const size_t> numbers) {
  CAIRN_TRY(Cluster cluster, cluster_of(chunk, numbers));
  const bool is_keyframe = base_ == nullptr || budget_.is_due(*chunk.group, chunk.chunk);
  if (!is_keyframe) {
    recall_before(chunk, numbers, cluster);
    read_before(cluster);
  }
  const bool weights_first = is_keyframe || weights_direct_;
  // A weight that stands by itself must be there before its master is made from it.
  for (const bool weights : {true, false}) {
    for (size_t i = 0; i < cluster.size(); ++i) {
      const bool is_first = weights_first && is_weight(cluster[i].role, cluster[i].dtype);
      if (!cluster[i].is_wanted || is_first != weights) continue;
      CAIRN_CHECK(store_member(cluster, i, weights_first));
    }
  }
  return {};
}

Status ChunkSaver::store_member(const Cluster& cluster, size_t number, bool weights_first) {
  const Member& member = cluster[number];
  if (!member.is_tensor) {
    if (!writer_.claim(member.digest, true)) return {};
    return write_opaque(member);
  }
  // Of a chunk that is stored, or about to be, nothing is to be encoded; but copies made from
  // others of this save do for those alone that nothing is made from.
  const bool is_alone = cluster.size() == 1;
  if (is_alone && !writer_.claim(member.digest, !must_stand_alone(member.item))) return {};
  CAIRN_TRY(auto chunk, encoder_.encode(cluster, number, facts_[member.item], weights_first));
  const bool is_own =
      chunk && std::any_of(chunk->bases.begin(), chunk->bases.end(), [](const CopyBase& base) {
        return std::holds_alternative<OwnPlace>(base);
      });
  if (is_own) {
    CAIRN_TRY(ChunkCopy own,
              writer_.write_own(member.digest, member.now.size(), *std::move(chunk)));
    pages_.set_copy(member.place, std::move(own));
    return {};
  }
  if (!is_alone && !writer_.claim(member.digest, false)) return {};
  if (!chunk) return writer_.write_raw(member.digest, member.now, true);
  return writer_.write(member.digest, member.now.size(), *std::move(chunk), true);
}

Status ChunkSaver::write_opaque(const Member& member) {
  CAIRN_TRY(auto chunk, opaque_encoder_.encode({member}, 0, {}, true));
  if (!chunk) return writer_.write_raw(member.digest, member.now, false);
  return writer_.write(member.digest, member.now.size(), *std::move(chunk), false);
}

Status ChunkSaver::run_jobs(std::span<const SaveGroup> groups) {
  const auto jobs = make_jobs(groups);
  return parallel_for(jobs.size(), request_.call.threads,
                      [&](uint64_t job) { return save_job(jobs[job]); });
}

Status ChunkSaver::run() {
  if (request_.call.progress != nullptr) {
    request_.call.progress->total_bytes = plan_.bytes_here();
  }
  // Tensors that stand alone may use what those of the groups have stored.
  const auto alone = std::find_if(groups_.begin(), groups_.end(),
                                  [](const SaveGroup& group) { return group.items.size() == 1; });
  const size_t joined = static_cast<size_t>(alone - groups_.begin());
  CAIRN_CHECK(run_jobs(std::span(groups_).first(joined)));
  return run_jobs(std::span(groups_).subspan(joined));
}

}  // namespace cairn
