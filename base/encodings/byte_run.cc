#include "base/encodings/byte_run.h"

#include <fmt/format.h>

#include "base/encodings/block_scratch.h"
#include "base/encodings/entropy.h"
#include "base/encodings/gaps.h"
#include "base/encodings/zstd_frame.h"

namespace cairn {

static constexpr size_t kLengthBytes = 3;  // u24
static constexpr int kMatchLevel = 1;      // higher ones are slower, and no smaller on planes

static bool is_constant(ByteSpan bytes) {
  return std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

static void append_coding(RunCoding coding, Bytes& out) {
  out.push_back(static_cast<uint8_t>(coding));
}
static void append_length(size_t length, Bytes& out) {
  for (const int shift : {0, 8, 16}) out.push_back(static_cast<uint8_t>(length >> shift));
}

static void append_plain(ByteSpan bytes, Bytes& out) {
  append_coding(RunCoding::kPlain, out);
  append_bytes(out, bytes);
}

static void append_frame(ByteSpan bytes, Effort effort, Bytes& out) {
  const ByteSpan frame =
      effort == Effort::kSmall ? smaller_frame(bytes, kMatchLevel) : huffman_frame(bytes);
  if (frame.empty() || frame.size() + kLengthBytes > bytes.size()) return append_plain(bytes, out);
  append_coding(RunCoding::kZstd, out);
  append_length(frame.size(), out);
  append_bytes(out, frame);
}

/// A run within a run of gaps.
static void append_inner(ByteSpan bytes, Effort effort, Bytes& out) {
  RunCoding coding = estimate_run(sample_bytes(bytes), bytes.size(), effort).coding;
  if (coding == RunCoding::kGaps) coding = RunCoding::kZstd;
  append_run(bytes, coding, effort, out);
}

static void append_gaps(ByteSpan bytes, Effort effort, Bytes& out) {
  uint8_t* const gaps = block_scratch().run_gaps.for_items(bytes.size(), 1);
  uint8_t* const values = block_scratch().run_values.for_items(bytes.size(), 1);
  const uint8_t common = most_frequent(sample_bytes(bytes));
  const GapSizes sizes = pack_byte_gaps(bytes, common, gaps, values);
  append_coding(RunCoding::kGaps, out);
  out.push_back(common);
  append_length(sizes.items, out);
  append_length(sizes.gap_bytes, out);
  append_inner({gaps, sizes.gap_bytes}, effort, out);
  append_inner({values, sizes.items}, effort, out);
}

void append_run(ByteSpan bytes, Effort effort, Bytes& out) {
  if (is_constant(bytes)) return append_run(bytes, RunCoding::kConstant, effort, out);
  append_run(bytes, estimate_run(sample_bytes(bytes), bytes.size(), effort).coding, effort, out);
}

/// Keeps the smaller of two runs: from `begin` to `middle`, and from there.
static void keep_smaller(size_t begin, size_t middle, Bytes& out) {
  if (out.size() - middle < middle - begin) {
    out.erase(out.begin() + static_cast<ptrdiff_t>(begin),
              out.begin() + static_cast<ptrdiff_t>(middle));
  } else {
    out.resize(middle);
  }
}

void append_run(ByteSpan bytes, RunCoding coding, Effort effort, Bytes& out) {
  if (is_constant(bytes)) {
    append_coding(RunCoding::kConstant, out);
    out.push_back(bytes[0]);
    return;
  }
  const size_t begin = out.size();
  if (coding == RunCoding::kGaps) append_gaps(bytes, effort, out);
  const size_t middle = out.size();
  if (effort == Effort::kSmall || coding == RunCoding::kZstd) {
    append_frame(bytes, effort, out);
  } else if (coding != RunCoding::kGaps || middle - begin > bytes.size() + 1) {
    append_plain(bytes, out);
  }
  if (middle > begin && out.size() > middle) keep_smaller(begin, middle, out);
}

static tl::unexpected<Error> ends_early() {
  return fail(Code::kCorrupt, "the stored bytes end within a run");
}

static ByteSpan take(ByteSpan& stored, size_t bytes) {
  const ByteSpan taken = stored.first(bytes);
  stored = stored.subspan(bytes);
  return taken;
}

static Result<size_t> take_length(ByteSpan& stored) {
  if (stored.size() < kLengthBytes) return ends_early();
  const ByteSpan bytes = take(stored, kLengthBytes);
  return bytes[0] | size_t{bytes[1]} << 8 | size_t{bytes[2]} << 16;
}

static Status read_frame(ByteSpan& stored, MutableBytes out) {
  CAIRN_TRY(const size_t bytes, take_length(stored));
  if (stored.size() < bytes) return ends_early();
  return decode_frame(take(stored, bytes), out);
}

/// A run whose coding is none that is made of runs.
static Result<ByteSpan> view_inner(RunCoding coding, ByteSpan& stored, MutableBytes room) {
  switch (coding) {
    case RunCoding::kConstant:
      if (stored.empty()) return ends_early();
      std::memset(room.data(), take(stored, 1)[0], room.size());
      return room;
    case RunCoding::kPlain:
      if (stored.size() < room.size()) return ends_early();
      return take(stored, room.size());
    case RunCoding::kZstd:
      CAIRN_CHECK(read_frame(stored, room));
      return room;
    case RunCoding::kGaps:
      return fail(Code::kCorrupt, "a run of gaps within another");
  }
  return fail(
      Code::kNewerFormat,
      fmt::format("a run's coding {} is not known to this version", static_cast<int>(coding)),
      "use a newer cairn");
}

static Result<RunCoding> take_coding(ByteSpan& stored) {
  if (stored.empty()) return ends_early();
  return static_cast<RunCoding>(take(stored, 1)[0]);
}

static Status read_gaps(ByteSpan& stored, MutableBytes out) {
  if (stored.empty()) return ends_early();
  const uint8_t common = take(stored, 1)[0];
  CAIRN_TRY(const size_t others, take_length(stored));
  CAIRN_TRY(const size_t gap_bytes, take_length(stored));
  if (!is_gap_count(others, gap_bytes, out.size())) {
    return fail(Code::kCorrupt, "a run with so many gaps cannot be");
  }
  uint8_t* const gaps_room = block_scratch().run_gaps.for_items(out.size(), 1);
  uint8_t* const values_room = block_scratch().run_values.for_items(out.size(), 1);
  CAIRN_TRY(const RunCoding gap_coding, take_coding(stored));
  CAIRN_TRY(const ByteSpan gaps, view_inner(gap_coding, stored, {gaps_room, gap_bytes}));
  CAIRN_TRY(const RunCoding value_coding, take_coding(stored));
  CAIRN_TRY(const ByteSpan values, view_inner(value_coding, stored, {values_room, others}));
  std::memset(out.data(), common, out.size());
  if (fill_byte_gaps(gaps, values, out)) return {};
  return fail(Code::kCorrupt, "gaps that do not fit the run");
}

Result<ByteSpan> view_run(ByteSpan& stored, MutableBytes room) {
  CAIRN_TRY(const RunCoding coding, take_coding(stored));
  if (coding != RunCoding::kGaps) return view_inner(coding, stored, room);
  CAIRN_CHECK(read_gaps(stored, room));
  return room;
}

Status read_run(ByteSpan& stored, MutableBytes out) {
  CAIRN_TRY(const ByteSpan bytes, view_run(stored, out));
  if (bytes.data() != out.data()) std::memcpy(out.data(), bytes.data(), out.size());
  return {};
}

}  // namespace cairn
