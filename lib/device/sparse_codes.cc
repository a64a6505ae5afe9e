#include "lib/device/sparse_codes.h"

#include <bit>

#include "gpu/coded_memory.h"

namespace cairn {

namespace {

/// The items of one tile.
template <class Item>
class Tile {
 public:
  Tile(ByteSpan codes, ByteSpan values, MutableBytes items)
      : codes_(codes), values_(values), items_(items) {}

  /// False when there are other values than the codes say.
  bool apply() {
    const size_t count = items_.size() / sizeof(Item);
    for (size_t first = 0; first < count; first += 64) {
      uint64_t word = 0;
      std::memcpy(&word, codes_.data() + first / 8, std::min<size_t>(8, codes_.size() - first / 8));
      if (count - first < 64) word &= (uint64_t{1} << (count - first)) - 1;
      for (; word != 0; word &= word - 1) {
        if (taken_ + sizeof(Item) > values_.size()) return false;
        change(first + static_cast<size_t>(std::countr_zero(word)));
      }
    }
    return taken_ == values_.size();
  }

 private:
  /// What is not 0 was sent less 1.
  void change(size_t number) {
    const auto value = static_cast<Item>(load_le<Item>(values_.subspan(taken_)) + 1);
    Item item;
    uint8_t* const at = items_.data() + number * sizeof(Item);
    std::memcpy(&item, at, sizeof(Item));
    item = static_cast<Item>(item ^ value);
    std::memcpy(at, &item, sizeof(Item));
    taken_ += sizeof(Item);
  }

  const ByteSpan codes_, values_;
  const MutableBytes items_;
  size_t taken_ = 0;
};

}  // namespace

template <class Item>
static bool apply_tiles(const SparseCodes& sparse, MutableBytes items) {
  const uint64_t tile_bytes = sparse.tile_items * sizeof(Item);
  for (uint64_t at = 0, number = 0; at < items.size(); at += tile_bytes, ++number) {
    const MutableBytes tile = items.subspan(at, std::min(tile_bytes, items.size() - at));
    const uint64_t codes_at = at / sizeof(Item) / 8, run_at = number * sizeof(gpu::EscapedRun);
    const uint64_t codes_bytes = ceil_div(tile.size() / sizeof(Item), 8);
    if (codes_at + codes_bytes > sparse.codes.size()) return false;
    if (run_at + sizeof(gpu::EscapedRun) > sparse.runs.size()) return false;
    const auto run = load_le<gpu::EscapedRun>(sparse.runs.subspan(run_at));
    const uint64_t room = sparse.values.size();
    if (run.count > tile.size() / sizeof(Item) || run.offset > room ||
        run.count * sizeof(Item) > room - run.offset) {
      return false;
    }
    const ByteSpan values = sparse.values.subspan(run.offset, run.count * sizeof(Item));
    if (!Tile<Item>(sparse.codes.subspan(codes_at, codes_bytes), values, tile).apply())
      return false;
  }
  return true;
}

static bool apply_items(const SparseCodes& sparse, MutableBytes items) {
  switch (sparse.item_bytes) {
    case 1:
      return apply_tiles<uint8_t>(sparse, items);
    case 2:
      return apply_tiles<uint16_t>(sparse, items);
    case 4:
      return apply_tiles<uint32_t>(sparse, items);
    case 8:
      return apply_tiles<uint64_t>(sparse, items);
    default:
      return false;
  }
}

Status apply_xor(const SparseCodes& sparse, MutableBytes items) {
  if (apply_items(sparse, items)) return {};
  return fail(Code::kFailed, "a device sent changes that do not fit each other",
              "save again; if it happens again, the device or its memory is damaged");
}

}  // namespace cairn
