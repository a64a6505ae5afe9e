#include "base/encodings/block.h"

#include "base/codec.h"
#include "base/encodings/block_choice.h"
#include "base/encodings/block_scratch.h"
#include "base/encodings/gaps.h"

namespace cairn {

/// The planes one after the other, in the thread's scratch or, of single bytes, where they are.
static ByteSpan split_planes(ByteSpan items, unsigned item_bytes) {
  if (item_bytes == 1) return items;
  const size_t count = items.size() / item_bytes;
  uint8_t* const planes = block_scratch().planes.for_items(count, item_bytes);
  item_kernel().split(items.data(), count, item_bytes, planes, count);
  return {planes, items.size()};
}

static void append_planes(ByteSpan items, unsigned item_bytes, Effort effort, Bytes& out) {
  const size_t count = items.size() / item_bytes;
  const ByteSpan planes = split_planes(items, item_bytes);
  for (size_t at = 0; at < planes.size(); at += count) {
    append_run(planes.subspan(at, count), effort, out);
  }
}
static void append_planes(ByteSpan items, unsigned item_bytes, const PlaneCodings& codings,
                          Effort effort, Bytes& out) {
  const size_t count = items.size() / item_bytes;
  const ByteSpan planes = split_planes(items, item_bytes);
  for (size_t plane = 0; plane < item_bytes; ++plane) {
    append_run(planes.subspan(plane * count, count), codings[plane], effort, out);
  }
}

static void append_quads(ByteSpan residuals, unsigned item_bytes, Effort effort, Bytes& out) {
  const size_t count = residuals.size() / item_bytes;
  uint8_t* const quads = block_scratch().bytes.for_items(count, 1);
  uint8_t* const larger = block_scratch().values.for_items(count, item_bytes);
  const size_t found = item_kernel().pack_quads(residuals.data(), count, item_bytes, quads, larger);
  append_run({quads, ceil_div(count, 4)}, effort, out);
  if (found > 0) append_planes({larger, found * item_bytes}, item_bytes, effort, out);
}

static void append_gaps(ByteSpan residuals, unsigned item_bytes, Effort effort, Bytes& out) {
  const size_t count = residuals.size() / item_bytes;
  uint8_t* const gaps = block_scratch().bytes.for_items(count, 1);
  uint8_t* const values = block_scratch().values.for_items(count, item_bytes);
  const GapSizes sizes = pack_gaps(residuals, item_bytes, gaps, values);
  append_le(out, static_cast<uint32_t>(sizes.items));
  append_le(out, static_cast<uint32_t>(sizes.gap_bytes));
  append_run({gaps, sizes.gap_bytes}, effort, out);
  append_planes({values, sizes.items * item_bytes}, item_bytes, effort, out);
}

static void append_form(ByteSpan residuals, unsigned item_bytes, const BlockChoice& choice,
                        Effort effort, Bytes& out) {
  out.push_back(static_cast<uint8_t>(choice.form));
  switch (choice.form) {
    case BlockForm::kSame:
      return;
    case BlockForm::kPlanes:
      return append_planes(residuals, item_bytes, choice.planes, effort, out);
    case BlockForm::kQuads:
      return append_quads(residuals, item_bytes, effort, out);
    case BlockForm::kGaps:
      return append_gaps(residuals, item_bytes, effort, out);
    case BlockForm::kBits:
      return append_bits(residuals, item_bytes, choice.bits, out);
  }
}

BlockForm append_items(ByteSpan items, unsigned item_bytes, Effort effort, Bytes& out) {
  const BlockForm form = is_zero(items) ? BlockForm::kSame : BlockForm::kPlanes;
  out.push_back(static_cast<uint8_t>(form));
  if (form == BlockForm::kPlanes) append_planes(items, item_bytes, effort, out);
  return form;
}

BlockForm append_residuals(ByteSpan items, ByteSpan prediction, ItemForm form, Effort effort,
                           Bytes& out) {
  if (std::memcmp(items.data(), prediction.data(), items.size()) == 0) {
    out.push_back(static_cast<uint8_t>(BlockForm::kSame));
    return BlockForm::kSame;
  }
  const size_t count = items.size() / form.bytes;
  uint8_t* const room = block_scratch().residuals.for_items(count, form.bytes);
  const ByteSpan residuals = {room, items.size()};
  const ResidualCounts counts = item_kernel().subtract(items.data(), prediction.data(), count,
                                                       form.bytes, form.is_float, room);
  BlockChoice choice = choose_form(residuals, prediction, form, counts, effort);
  const size_t begin = out.size();
  append_form(residuals, form.bytes, choice, effort, out);
  // Estimates may be wrong. What bits take is known.
  if (!choice.bits.numbers.empty() && out.size() - begin > 1 + choice.bits.bytes()) {
    out.resize(begin);
    choice.form = BlockForm::kBits;
    append_form(residuals, form.bytes, choice, effort, out);
  }
  if (choice.form == BlockForm::kPlanes) return choice.form;
  // Plain planes are the most that a block may take; and where time does not count, repetitions may
  // make planes the smallest after all.
  const size_t bytes = out.size() - begin;
  const size_t plain_bytes = 1 + form.bytes * (count + 1);
  if (bytes <= plain_bytes && effort != Effort::kSmall) return choice.form;
  append_form(residuals, form.bytes, {BlockForm::kPlanes}, effort, out);
  if (out.size() - begin - bytes >= bytes) {
    out.resize(begin + bytes);
    return choice.form;
  }
  out.erase(out.begin() + static_cast<ptrdiff_t>(begin),
            out.begin() + static_cast<ptrdiff_t>(begin + bytes));
  return BlockForm::kPlanes;
}

}  // namespace cairn
