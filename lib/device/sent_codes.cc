#include "lib/device/sent_codes.h"

#include <algorithm>

namespace cairn {

namespace {

template <class Item, unsigned kBits>
class Unpacker {
 public:
  explicit Unpacker(const SentCodes& sent) : sent_(sent) {}

  /// False when something does not fit.
  bool unpack(MutableBytes residuals) const {
    const uint64_t tile_bytes = sent_.tile_items * sizeof(Item);
    for (uint64_t at = 0, number = 0; at < residuals.size(); at += tile_bytes, ++number) {
      const MutableBytes tile = residuals.subspan(at, std::min(tile_bytes, residuals.size() - at));
      if (!unpack_tile(at / sizeof(Item), number, tile)) return false;
    }
    return true;
  }

 private:
  static constexpr unsigned kEscape = (1u << kBits) - 1, kOfByte = 8 / kBits;

  bool unpack_tile(uint64_t first, uint64_t number, MutableBytes tile) const {
    const size_t count = tile.size() / sizeof(Item);
    const uint64_t codes_at = first / kOfByte, codes_bytes = ceil_div(count, kOfByte);
    const uint64_t run_at = number * sizeof(gpu::EscapedRun);
    if (codes_at + codes_bytes > sent_.codes.size()) return false;
    if (run_at + sizeof(gpu::EscapedRun) > sent_.runs.size()) return false;
    const auto run = load_le<gpu::EscapedRun>(sent_.runs, run_at);
    const uint64_t room = sent_.values.size();
    if (run.count > count || run.offset > room || run.count * sizeof(Item) > room - run.offset) {
      return false;
    }
    return unpack_items(sent_.codes.subspan(codes_at, codes_bytes),
                        sent_.values.subspan(run.offset, run.count * sizeof(Item)), tile);
  }

  static bool unpack_items(ByteSpan codes, ByteSpan values, MutableBytes tile) {
    const size_t count = tile.size() / sizeof(Item);
    size_t taken = 0;
    std::fill(tile.begin(), tile.end(), uint8_t{0});
    for (size_t i = 0; i < count; ++i) {
      if (i % kOfByte == 0 && codes[i / kOfByte] == 0) {
        i += kOfByte - 1;
        continue;
      }
      const unsigned code = codes[i / kOfByte] >> (kBits * (i % kOfByte)) & kEscape;
      if (code == 0) continue;
      auto item = static_cast<Item>(code);
      if (code == kEscape) {
        if (taken + sizeof(Item) > values.size()) return false;
        item = static_cast<Item>(load_le<Item>(values, taken) + kEscape);
        taken += sizeof(Item);
      }
      store_le(tile, i * sizeof(Item), item);
    }
    return taken == values.size();
  }

  const SentCodes& sent_;
};

}  // namespace

template <class Item>
static bool unpack_items(const SentCodes& sent, MutableBytes residuals) {
  if (sent.bits == 1) return Unpacker<Item, 1>(sent).unpack(residuals);
  return sent.bits == 2 && Unpacker<Item, 2>(sent).unpack(residuals);
}

static bool unpack(const SentCodes& sent, MutableBytes residuals) {
  switch (sent.item_bytes) {
    case 1:
      return unpack_items<uint8_t>(sent, residuals);
    case 2:
      return unpack_items<uint16_t>(sent, residuals);
    case 4:
      return unpack_items<uint32_t>(sent, residuals);
    case 8:
      return unpack_items<uint64_t>(sent, residuals);
    default:
      return false;
  }
}

Status unpack_codes(const SentCodes& sent, MutableBytes residuals) {
  if (unpack(sent, residuals)) return {};
  return fail(Code::kFailed, "a device sent changes that do not fit each other",
              "save again; if it happens again, the device or its memory is damaged");
}

template <class Item>
static PackedCodes pack(ByteSpan residuals, uint64_t tile_items) {
  const uint64_t count = residuals.size() / sizeof(Item);
  PackedCodes packed;
  packed.bytes.resize(ceil_div(count, uint64_t{128}) * 16);
  for (uint64_t first = 0; first < count; first += tile_items) {
    gpu::EscapedRun run{packed.bytes.size(), 0};
    for (uint64_t i = first; i < std::min(first + tile_items, count); ++i) {
      const Item item = load_le<Item>(residuals, i * sizeof(Item));
      if (item == 0) continue;
      packed.bytes[i / 8] |= static_cast<uint8_t>(1u << i % 8);
      append_le(packed.bytes, static_cast<Item>(item - 1));
      ++run.count;
    }
    packed.bytes.resize(round_up(packed.bytes.size(), uint64_t{16}));
    packed.runs.push_back(run.count == 0 ? gpu::EscapedRun{} : run);
  }
  return packed;
}

PackedCodes pack_codes(ByteSpan residuals, unsigned item_bytes, uint64_t tile_items) {
  return item_bytes == 2 ? pack<uint16_t>(residuals, tile_items)
                         : pack<uint32_t>(residuals, tile_items);
}

}  // namespace cairn
