#include "base/encodings/byte_run.h"

#include <fmt/format.h>

#include "base/encodings/entropy.h"
#include "base/encodings/zstd_frame.h"

namespace cairn {

enum class Coding : uint8_t { kConstant = 0, kPlain = 1, kZstd = 2 };

static constexpr size_t kZstdHeaderBytes = 4;  // coding, u24 length
static constexpr int kMatchLevel = 3;

static bool is_constant(ByteSpan bytes) {
  return std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

static void append_frame(ByteSpan frame, Bytes& out) {
  out.push_back(static_cast<uint8_t>(Coding::kZstd));
  const auto length = static_cast<uint32_t>(frame.size());
  for (const int shift : {0, 8, 16}) out.push_back(static_cast<uint8_t>(length >> shift));
  append_bytes(out, frame);
}

void append_run(ByteSpan bytes, Effort effort, Bytes& out) {
  const bool is_coded =
      effort != Effort::kSmall && estimate_run(sample_bytes(bytes), bytes.size(), effort).is_coded;
  append_run(bytes, is_coded, effort, out);
}

void append_run(ByteSpan bytes, bool is_coded, Effort effort, Bytes& out) {
  if (is_constant(bytes)) {
    out.push_back(static_cast<uint8_t>(Coding::kConstant));
    out.push_back(bytes[0]);
    return;
  }
  ByteSpan frame;
  if (effort == Effort::kSmall) {
    frame = smaller_frame(bytes, kMatchLevel);
  } else if (is_coded) {
    frame = huffman_frame(bytes);
  }
  if (!frame.empty() && frame.size() + kZstdHeaderBytes <= bytes.size()) {
    append_frame(frame, out);
    return;
  }
  out.push_back(static_cast<uint8_t>(Coding::kPlain));
  append_bytes(out, bytes);
}

static tl::unexpected<Error> ends_early() {
  return fail(Code::kCorrupt, "the stored bytes end within a run");
}

static ByteSpan take(ByteSpan& stored, size_t bytes) {
  const ByteSpan taken = stored.first(bytes);
  stored = stored.subspan(bytes);
  return taken;
}

static Status read_frame(ByteSpan& stored, MutableBytes out) {
  if (stored.size() < kZstdHeaderBytes - 1) return ends_early();
  const size_t bytes = stored[0] | size_t{stored[1]} << 8 | size_t{stored[2]} << 16;
  stored = stored.subspan(kZstdHeaderBytes - 1);
  if (stored.size() < bytes) return ends_early();
  return decode_frame(take(stored, bytes), out);
}

Result<ByteSpan> view_run(ByteSpan& stored, MutableBytes room) {
  if (stored.size() < 2) return ends_early();
  const uint8_t coding = stored[0];
  stored = stored.subspan(1);
  switch (static_cast<Coding>(coding)) {
    case Coding::kConstant:
      std::memset(room.data(), take(stored, 1)[0], room.size());
      return room;
    case Coding::kPlain:
      if (stored.size() < room.size()) return ends_early();
      return take(stored, room.size());
    case Coding::kZstd:
      CAIRN_CHECK(read_frame(stored, room));
      return room;
  }
  return fail(Code::kNewerFormat,
              fmt::format("a run's coding {} is not known to this version", coding),
              "use a newer cairn");
}

Status read_run(ByteSpan& stored, MutableBytes out) {
  CAIRN_TRY(const ByteSpan bytes, view_run(stored, out));
  if (bytes.data() != out.data()) std::memcpy(out.data(), bytes.data(), out.size());
  return {};
}

}  // namespace cairn
