#include "lib/unit_list.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "store/wire.h"

namespace cairn {

Digest tensor_digest(const TensorSource& tensor) {
  Bytes told;
  append_le(told, static_cast<uint8_t>(tensor.dtype));
  append_le(told, static_cast<uint8_t>(tensor.shape.size()));
  for (const uint64_t length : tensor.shape) append_le(told, length);
  append_bytes(told, as_bytes(tensor.name));
  return blake3(told);
}

static bool comes_before(const UnitRange& a, const UnitRange& b) {
  const auto key = [](const UnitRange& range) {
    const bool is_cut = range.cut.has_value();
    return std::tuple(range.tensor.bytes, is_cut,
                      is_cut ? range.cut->offsets : std::vector<uint64_t>(),
                      is_cut ? range.cut->lengths : std::vector<uint64_t>());
  };
  return key(a) < key(b);
}

/// Of the chunks that a box cuts, in order.
static std::vector<uint64_t> cut_chunks(const Grid& grid, const Box& box) {
  std::vector<uint64_t> chunks;
  grid.for_each_chunk(box, [&](uint64_t chunk) {
    if (!contains(box, grid.chunk_box(chunk))) chunks.push_back(chunk);
  });
  return chunks;
}

UnitList UnitList::of(const SavePlan& plan, std::span<const SaveGroup> groups,
                      const Digest& topic) {
  UnitList list;
  list.topic_ = topic;
  for (const SaveGroup& group : groups) {
    if (group.items.front() >= plan.tensors.size()) continue;
    const Digest cluster = tensor_digest(*plan.tensors[group.items.front()].first);
    for (const size_t item : group.items) {
      const PlannedTensor& tensor = plan.tensors[item];
      UnitRange range{tensor_digest(*tensor.first), cluster,
                      static_cast<uint32_t>(tensor.form.item_bytes), tensor.form.shape};
      list.ranges_.push_back(range);
      for (const SourceBox& box : tensor.boxes) {
        if (cut_chunks(tensor.grid, box.box).empty()) continue;
        range.cut = box.box;
        list.ranges_.push_back(range);
      }
    }
  }
  list.settle(plan.schema.chunk_elements);
  return list;
}

void UnitList::settle(uint64_t chunk_elements) {
  // Of equal ones the first counts: what leads them on the lowest rank.
  std::stable_sort(ranges_.begin(), ranges_.end(), comes_before);
  ranges_.erase(std::unique(ranges_.begin(), ranges_.end(),
                            [](const UnitRange& a, const UnitRange& b) {
                              return a.tensor == b.tensor && a.cut == b.cut;
                            }),
                ranges_.end());
  firsts_ = {0};
  for (const UnitRange& range : ranges_) {
    const Grid& grid = grids_.emplace_back(range.shape, chunk_elements);
    cut_chunks_.push_back(range.cut ? cut_chunks(grid, *range.cut) : std::vector<uint64_t>());
    firsts_.push_back(firsts_.back() +
                      (range.cut ? cut_chunks_.back().size() : grid.chunk_count()));
  }
}

static void append_numbers(Bytes& bytes, const std::vector<uint64_t>& numbers) {
  for (const uint64_t number : numbers) append_le(bytes, number);
}

Bytes UnitList::encoded() const {
  Bytes bytes;
  append_digest(bytes, topic_);
  append_le(bytes, static_cast<uint64_t>(ranges_.size()));
  for (const UnitRange& range : ranges_) {
    append_digest(bytes, range.tensor);
    append_digest(bytes, range.cluster);
    append_le(bytes, range.item_bytes);
    append_le(bytes, static_cast<uint8_t>(range.shape.size()));
    append_le<uint8_t>(bytes, range.cut ? 1 : 0);
    append_numbers(bytes, range.shape);
    if (!range.cut) continue;
    append_numbers(bytes, range.cut->offsets);
    append_numbers(bytes, range.cut->lengths);
  }
  return bytes;
}

static std::vector<uint64_t> take_numbers(WireReader& reader, size_t count) {
  std::vector<uint64_t> numbers;
  for (size_t i = 0; i < count; ++i) numbers.push_back(reader.take<uint64_t>());
  return numbers;
}

static UnitRange take_range(WireReader& reader) {
  UnitRange range;
  range.tensor = reader.take_digest();
  range.cluster = reader.take_digest();
  range.item_bytes = reader.take<uint32_t>();
  const auto axes = reader.take<uint8_t>(), is_cut = reader.take<uint8_t>();
  range.shape = take_numbers(reader, axes);
  if (is_cut == 0) return range;
  range.cut.emplace();
  range.cut->offsets = take_numbers(reader, axes);
  range.cut->lengths = take_numbers(reader, axes);
  if (!check_box(*range.cut, range.shape)) reader.reject("has a box outside its tensor");
  return range;
}

Result<UnitList> UnitList::united(std::span<const Bytes> told, uint64_t chunk_elements) {
  UnitList list;
  for (size_t i = 0; i < told.size(); ++i) {
    WireReader reader(told[i], "a rank's list of tensors");
    const Digest topic = reader.take_digest();
    if (i == 0) list.topic_ = topic;
    if (topic != list.topic_)
      return fail(Code::kUsage, "ranks save another tag, step or base, or into another store",
                  "ranks that save together give the same");
    static constexpr uint64_t kRangeBytesMin = 70;
    const uint64_t count = reader.take_count(reader.take<uint64_t>(), kRangeBytesMin);
    for (uint64_t range = 0; range < count; ++range) list.ranges_.push_back(take_range(reader));
    CAIRN_CHECK(reader.finish());
  }
  list.settle(chunk_elements);
  return list;
}

size_t UnitList::range_of(uint64_t unit) const {
  return static_cast<size_t>(std::upper_bound(firsts_.begin(), firsts_.end(), unit) -
                             firsts_.begin()) -
         1;
}

uint64_t UnitList::chunk_of(uint64_t unit) const {
  const size_t range = range_of(unit);
  const uint64_t number = unit - firsts_[range];
  return ranges_[range].cut ? cut_chunks_[range][number] : number;
}

std::optional<size_t> UnitList::find(const Digest& tensor, const std::optional<Box>& cut) const {
  const UnitRange wanted{tensor, {}, 1, {}, cut};
  const auto at = std::lower_bound(ranges_.begin(), ranges_.end(), wanted, comes_before);
  if (at == ranges_.end() || at->tensor != tensor || at->cut != cut) return std::nullopt;
  return static_cast<size_t>(at - ranges_.begin());
}

uint64_t UnitList::number_of(const SavePlan& plan, const Unit& unit) const {
  const PlannedTensor& tensor = plan.tensors[unit.item];
  const Digest digest = tensor_digest(*tensor.first);
  if (!unit.is_piece) return firsts_[*find(digest, std::nullopt)] + unit.chunk;
  const size_t range = *find(digest, tensor.boxes[unit.sources.front()].box);
  const std::vector<uint64_t>& chunks = cut_chunks_[range];
  const auto at = std::lower_bound(chunks.begin(), chunks.end(), unit.chunk);
  return firsts_[range] + static_cast<uint64_t>(at - chunks.begin());
}

std::optional<uint64_t> UnitList::whole_of(uint64_t piece) const {
  const size_t range = range_of(piece);
  if (!ranges_[range].cut) return std::nullopt;
  const auto whole = find(ranges_[range].tensor, std::nullopt);
  if (!whole) return std::nullopt;
  return firsts_[*whole] + chunk_of(piece);
}

std::vector<gpu::ExchangeUnit> UnitList::units() const {
  std::vector<gpu::ExchangeUnit> units;
  units.reserve(unit_count());
  using Key = std::tuple<Digest, Shape, std::vector<uint64_t>, std::vector<uint64_t>>;
  std::map<Key, uint64_t> leaders;  // the first unit of the range that leads
  for (size_t i = 0; i < ranges_.size(); ++i) {
    const UnitRange& range = ranges_[i];
    const Box cut = range.cut ? *range.cut : Box{};
    const uint64_t leader =
        leaders.try_emplace({range.cluster, range.shape, cut.offsets, cut.lengths}, firsts_[i])
            .first->second;
    for (uint64_t unit = firsts_[i]; unit < firsts_[i + 1]; ++unit) {
      const uint64_t number = unit - firsts_[i];
      Box box = grids_[i].chunk_box(range.cut ? cut_chunks_[i][number] : number);
      if (range.cut) box = *intersect(box, *range.cut);
      units.push_back({box.elements() * range.item_bytes, static_cast<uint32_t>(leader + number)});
    }
  }
  return units;
}

}  // namespace cairn
