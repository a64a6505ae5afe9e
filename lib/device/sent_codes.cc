#include "lib/device/sent_codes.h"

#include <algorithm>

#include "gpu/coded_memory.h"

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

}  // namespace cairn
