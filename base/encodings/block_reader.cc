// Reading of blocks. Stored bytes may be anything: every length is checked before it is used.
#include <fmt/format.h>

#include <array>

#include "base/encodings/bits.h"
#include "base/encodings/block.h"
#include "base/encodings/block_scratch.h"
#include "base/encodings/gaps.h"

namespace cairn {

static tl::unexpected<Error> damaged(std::string_view why) {
  return fail(Code::kCorrupt, fmt::format("a block is damaged: {}", why));
}

/// The planes of `count` items, joined in `items`.
static Status read_planes(ByteSpan& stored, unsigned item_bytes, size_t count, uint8_t* items) {
  if (item_bytes == 1) return read_run(stored, {items, count});
  uint8_t* const room = block_scratch().planes.for_items(count, item_bytes);
  std::array<const uint8_t*, 8> planes{};
  for (unsigned plane = 0; plane < item_bytes; ++plane) {
    CAIRN_TRY(const ByteSpan run, view_run(stored, {room + plane * count, count}));
    planes[plane] = run.data();
  }
  item_kernel().join(planes.data(), count, item_bytes, items);
  return {};
}

/// How many of the items are 3; nullopt when there is more than `count` items.
static std::optional<size_t> count_larger(ByteSpan quads, size_t count) {
  if (count % 4 != 0 && quads.back() >> 2 * (count % 4) != 0) return std::nullopt;
  constexpr uint64_t kPairs = 0x5555555555555555;
  uint64_t larger = 0;
  size_t at = 0;
  for (; at + 8 <= quads.size(); at += 8) {
    const auto word = load_le<uint64_t>(quads, at);
    uint64_t sums = word & word >> 1 & kPairs;
    sums = (sums & 0x3333333333333333) + (sums >> 2 & 0x3333333333333333);
    sums = (sums + (sums >> 4)) & 0x0f0f0f0f0f0f0f0f;
    larger += sums * 0x0101010101010101 >> 56;
  }
  for (; at < quads.size(); ++at) {
    larger += static_cast<uint64_t>(std::popcount(quads[at] & quads[at] >> 1 & 0x55u));
  }
  return larger;
}

static Status read_quads(ByteSpan& stored, unsigned item_bytes, MutableBytes residuals) {
  const size_t count = residuals.size() / item_bytes;
  uint8_t* const room = block_scratch().bytes.for_items(count, 1);
  CAIRN_TRY(const ByteSpan quads, view_run(stored, {room, ceil_div(count, 4)}));
  const auto found = count_larger(quads, count);
  if (!found) return damaged("quads go beyond the last item");
  uint8_t* const larger = block_scratch().values.for_items(count, item_bytes);
  if (*found > 0) CAIRN_CHECK(read_planes(stored, item_bytes, *found, larger));
  item_kernel().unpack_quads(quads.data(), count, item_bytes, larger, residuals.data());
  return {};
}

static Status read_gaps(ByteSpan& stored, ItemForm form, bool is_prediction, MutableBytes items) {
  const size_t count = items.size() / form.bytes;
  if (stored.size() < 8) return damaged("it ends within its lengths");
  const size_t others = load_le<uint32_t>(stored);
  const size_t gap_bytes = load_le<uint32_t>(stored, 4);
  stored = stored.subspan(8);
  if (!is_gap_count(others, gap_bytes, count)) return damaged("so many gaps cannot be");
  uint8_t* const room = block_scratch().bytes.for_items(count, 1);
  uint8_t* const values = block_scratch().values.for_items(count, form.bytes);
  CAIRN_TRY(const ByteSpan gaps, view_run(stored, {room, gap_bytes}));
  CAIRN_CHECK(read_planes(stored, form.bytes, others, values));
  const ByteSpan changes = {values, others * form.bytes};
  const bool is_good = is_prediction ? correct_gaps(gaps, changes, form, items)
                                     : fill_gaps(gaps, changes, form.bytes, items);
  if (!is_good) return damaged("gaps and items do not fit together");
  return {};
}

static Status read_bits(ByteSpan& stored, ItemForm form, bool is_prediction, MutableBytes items) {
  const auto take = [&] {
    const uint8_t byte = stored.empty() ? 0 : stored[0];
    stored = stored.subspan(std::min(stored.size(), size_t{1}));
    return byte;
  };
  SizeClasses classes;
  classes.count = take();
  if (classes.count > 1) {
    classes.top = take();
    classes.step = take();
  }
  if (!classes.fit(form) || (classes.count > 1 && !is_prediction)) {
    return damaged("it has no such classes of bits");
  }
  if (stored.size() < 3) return damaged("it ends within its lengths");
  const size_t bytes = stored[0] | size_t{stored[1]} << 8 | size_t{stored[2]} << 16;
  if (stored.size() - 3 < bytes) return damaged("it ends within its bits");
  const ByteSpan stream = stored.subspan(3, bytes);
  stored = stored.subspan(3 + bytes);
  const bool is_good = is_prediction ? correct_bits(stream, classes, form, items)
                                     : fill_bits(stream, form.bytes, items);
  if (!is_good) return damaged("bits and items do not fit together");
  return {};
}

static Result<BlockForm> read_form(ByteSpan& stored) {
  if (stored.empty()) return fail(Code::kCorrupt, "the stored bytes end before the last block");
  const uint8_t form = stored[0];
  if (form > static_cast<uint8_t>(BlockForm::kBits)) {
    return fail(Code::kNewerFormat,
                fmt::format("a block's form {} is not known to this version", form),
                "use a newer cairn");
  }
  stored = stored.subspan(1);
  return static_cast<BlockForm>(form);
}

/// Of a block that has this form.
static Status read_items(BlockForm block, ByteSpan& stored, unsigned item_bytes,
                         MutableBytes items) {
  switch (block) {
    case BlockForm::kSame:
      break;
    case BlockForm::kPlanes:
      return read_planes(stored, item_bytes, items.size() / item_bytes, items.data());
    case BlockForm::kQuads:
      return read_quads(stored, item_bytes, items);
    case BlockForm::kGaps:
    case BlockForm::kBits:
      break;
  }
  std::memset(items.data(), 0, items.size());
  if (block == BlockForm::kSame) return {};
  const ItemForm form = {static_cast<uint8_t>(item_bytes), false};
  return block == BlockForm::kGaps ? read_gaps(stored, form, false, items)
                                   : read_bits(stored, form, false, items);
}

Status read_items(ByteSpan& stored, unsigned item_bytes, MutableBytes items) {
  CAIRN_TRY(const BlockForm block, read_form(stored));
  return read_items(block, stored, item_bytes, items);
}

Status read_item_planes(ByteSpan& stored, unsigned item_bytes, MutableBytes planes) {
  CAIRN_TRY(const BlockForm block, read_form(stored));
  const size_t count = planes.size() / item_bytes;
  if (block == BlockForm::kPlanes) {
    for (unsigned plane = 0; plane < item_bytes; ++plane) {
      CAIRN_CHECK(read_run(stored, planes.subspan(plane * count, count)));
    }
    return {};
  }
  const bool are_the_items = block == BlockForm::kSame || item_bytes == 1;
  if (are_the_items) return read_items(block, stored, item_bytes, planes);
  uint8_t* const items = block_scratch().residuals.for_items(count, item_bytes);
  CAIRN_CHECK(read_items(block, stored, item_bytes, {items, planes.size()}));
  item_kernel().split(items, count, item_bytes, planes.data(), count);
  return {};
}

bool needs_prediction(ByteSpan stored) {
  return stored.size() > 1 && stored[0] == static_cast<uint8_t>(BlockForm::kBits) && stored[1] > 1;
}

Status correct_items(ByteSpan& stored, ItemForm form, MutableBytes items, BlockForm& met) {
  CAIRN_TRY(met, read_form(stored));
  if (met == BlockForm::kSame) return {};
  if (met == BlockForm::kGaps) return read_gaps(stored, form, true, items);
  if (met == BlockForm::kBits) return read_bits(stored, form, true, items);
  const size_t count = items.size() / form.bytes;
  uint8_t* const room = block_scratch().residuals.for_items(count, form.bytes);
  if (met == BlockForm::kPlanes) {
    CAIRN_CHECK(read_planes(stored, form.bytes, count, room));
  } else {
    CAIRN_CHECK(read_quads(stored, form.bytes, {room, items.size()}));
  }
  item_kernel().correct(room, count, form.bytes, form.is_float, items.data());
  return {};
}

}  // namespace cairn
