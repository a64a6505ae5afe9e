#include "lib/cluster_writer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/buffer.h"
#include "store/chain_reader.h"

namespace cairn {

/// Attachments are text and JSON more often than not.
static constexpr int kAttachmentZstdLevel = 3;

/// Where little time may be spent, what stands by itself is encoded while the disk is busy anyway.
std::function<bool()> ClusterWriter::time_to_encode() const {
  if (request_.effort != Effort::kFast || request_.zstd_level != 0) return nullptr;
  return [this] { return writer_.is_disk_behind(); };
}

ClusterWriter::ClusterWriter(const Store& store, const SaveRequest& request, const SavePlan& plan,
                             BaseTag* base, const RestoreBudget& budget, ChunkWriter& writer,
                             SavedPages& pages, bool weights_direct)
    : request_(request),
      plan_(plan),
      base_(base),
      budget_(budget),
      writer_(writer),
      pages_(pages),
      weights_direct_(weights_direct),
      encoder_({request.effort, request.zstd_level, request.optimizer.predict, time_to_encode()}),
      opaque_encoder_({request.effort, kAttachmentZstdLevel, false}),
      base_memory_(request.base_memory, plan),
      facts_(step_facts_of(request, plan)),
      packs_(store) {}

/// Whether the item's copies must not be made from those of other tensors.
bool ClusterWriter::must_stand_alone(size_t item) const {
  if (!weights_direct_ || item >= plan_.tensors.size()) return false;
  const TensorSource& source = *plan_.tensors[item].first;
  return is_weight(source.role, source.dtype);
}

/// The unit's bytes one after the other, those that were digested: as they lie where nothing writes
/// to them and they do, else in `room`. Whoever reads them twice reads the same.
Result<ByteSpan> ClusterWriter::bytes_of(const DigestedUnit& digested, AlignedBuffer& room) const {
  const bool is_tensor = digested.unit.item < plan_.tensors.size();
  const bool is_still = request_.are_still || digested.is_copied || !is_tensor;
  if (is_still && digested.rows.rows <= 1) return ByteSpan(digested.rows.data, digested.bytes);
  if (room.size() < digested.bytes) room = AlignedBuffer(digested.bytes);
  const MutableBytes bytes = room.span().first(digested.bytes);
  gather(plan_, digested.unit, bytes);
  if (is_still || digested.digest == blake3(bytes)) return ByteSpan(bytes);
  return changed_while_read(plan_.name(digested.unit.item));
}

/// Puts units of the same box together, one of each item.
Status ClusterWriter::write_new(const ChunkUnits& chunk) {
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

/// The base's copy of the same box; nullopt when it has none.
std::optional<BaseUnit> ClusterWriter::base_at(const DigestedUnit& unit) const {
  if (base_ == nullptr || unit.unit.item >= plan_.tensors.size()) return std::nullopt;
  const auto& [item, chunk, is_piece, box, sources] = unit.unit;
  const auto base = base_->unit_at(item, chunk, is_piece ? &box : nullptr);
  return base && base->decoded_bytes == unit.bytes ? base : std::nullopt;
}

/// The same where a copy may be made from it.
std::optional<BaseUnit> ClusterWriter::base_of(const DigestedUnit& unit) const {
  const auto base = base_at(unit);
  const size_t item = unit.unit.item;
  if (base && must_stand_alone(item) && !base_->stands_alone(item, unit.unit.chunk)) {
    return std::nullopt;
  }
  return base;
}

/// What it is; not its bytes, nor those of its base.
Member ClusterWriter::member_of(const DigestedUnit& unit) const {
  Member member;
  member.item = unit.unit.item;
  member.digest = unit.digest;
  member.place = unit.place;
  member.is_tensor = unit.unit.item < plan_.tensors.size();
  member.is_inline = !unit.unit.is_piece && unit.bytes <= kInlineBytesMax;
  member.is_wanted = unit.is_wanted;
  if (!member.is_tensor) return member;
  const TensorSource& source = *plan_.tensors[unit.unit.item].first;
  member.role = source.role;
  member.dtype = source.dtype;
  member.form = form_of(source);
  return member;
}

std::vector<StepFacts> ClusterWriter::facts_of(const ChunkUnits& chunk) const {
  std::vector<StepFacts> facts;
  for (const DigestedUnit& unit : chunk.units) facts.push_back(facts_[unit.unit.item]);
  return facts;
}

std::optional<TransferRecipes> ClusterWriter::recipes(const ChunkUnits& chunk) const {
  Cluster cluster;
  bool is_one_box = true;
  for (const DigestedUnit& unit : chunk.units) {
    cluster.push_back(member_of(unit));
    is_one_box = is_one_box && unit.unit.box == chunk.units.front().unit.box;
  }
  // Pieces of several boxes are several clusters.
  if (!is_one_box) return plain_recipes(cluster);
  return recipe_book_.find(cluster, facts_of(chunk));
}

void ClusterWriter::learn(const ChunkUnits& chunk, std::span<const ByteSpan> now,
                          std::span<const ByteSpan> before) {
  Cluster cluster;
  for (size_t i = 0; i < chunk.units.size(); ++i) {
    Member& member = cluster.emplace_back(member_of(chunk.units[i]));
    member.now = now[i];
    member.before = before[i];
  }
  recipe_book_.learn(encoder_, cluster, facts_of(chunk));
}

std::vector<std::optional<Digest>> ClusterWriter::base_digests(const ChunkUnits& chunk) const {
  std::vector<std::optional<Digest>> digests;
  for (const DigestedUnit& unit : chunk.units) {
    const auto base = base_at(unit);
    digests.push_back(base ? std::optional(base->digest) : std::nullopt);
  }
  return digests;
}

Status ClusterWriter::recall(const ChunkUnits& chunk, std::span<const MutableBytes> rooms) {
  std::vector<CopyRef> refs;
  std::vector<MutableBytes> wanted;
  for (size_t i = 0; i < chunk.units.size(); ++i) {
    const DigestedUnit& unit = chunk.units[i];
    const auto base = base_at(unit);
    if (!base) return fail(Code::kCorrupt, "a copy of the base is no longer there");
    if (base_memory_.recall(unit.unit.item, unit.unit.box, base->digest, rooms[i])) continue;
    refs.push_back(base->ref);
    wanted.push_back(rooms[i]);
  }
  if (refs.empty()) return {};
  return ChainReader(base_->checkpoint(), packs_)
      .read(refs, [&](size_t i, ByteSpan decoded) -> Status {
        std::copy(decoded.begin(), decoded.end(), wanted[i].begin());
        return {};
      });
}

Result<Cluster> ClusterWriter::cluster_of(const ChunkUnits& chunk,
                                          std::span<const size_t> numbers) {
  thread_local std::vector<AlignedBuffer> rooms;
  if (rooms.size() < numbers.size()) rooms.resize(numbers.size());
  Cluster cluster;
  for (const size_t number : numbers) {
    const DigestedUnit& unit = chunk.units[number];
    Member& member = cluster.emplace_back(member_of(unit));
    CAIRN_TRY(member.now, bytes_of(unit, rooms[cluster.size() - 1]));
    member.base = base_of(unit);
  }
  return cluster;
}

/// What the caller has of the base at the same boxes.
void ClusterWriter::recall_before(const ChunkUnits& chunk, std::span<const size_t> numbers,
                                  Cluster& cluster) const {
  thread_local std::vector<AlignedBuffer> rooms;
  if (rooms.size() < cluster.size()) rooms.resize(cluster.size());
  for (size_t i = 0; i < cluster.size(); ++i) {
    Member& member = cluster[i];
    if (!member.base) continue;
    member.before = chunk.units[numbers[i]].before;
    if (!member.before.empty() || base_memory_.is_empty()) continue;
    const uint64_t bytes = member.base->decoded_bytes;
    if (rooms[i].size() < bytes) rooms[i] = AlignedBuffer(bytes);
    const MutableBytes room = rooms[i].span().first(bytes);
    const Box& box = chunk.units[numbers[i]].unit.box;
    if (base_memory_.recall(member.item, box, member.base->digest, room)) member.before = room;
  }
}

/// The bytes of the base at the same boxes. What cannot be read is not built upon.
void ClusterWriter::read_before(Cluster& cluster) {
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

Status ClusterWriter::write_cluster(const ChunkUnits& chunk, std::span<const size_t> numbers) {
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

Status ClusterWriter::store_member(const Cluster& cluster, size_t number, bool weights_first) {
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

Status ClusterWriter::write_opaque(const Member& member) {
  CAIRN_TRY(auto chunk, opaque_encoder_.encode({member}, 0, {}, true));
  if (!chunk) return writer_.write_raw(member.digest, member.now, false);
  return writer_.write(member.digest, member.now.size(), *std::move(chunk), false);
}

}  // namespace cairn
