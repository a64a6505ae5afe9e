#include "base/codec.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "base/encodings/encode.h"
#include "base/replay/replay.h"

namespace cairn {

std::string_view encoding_name(Encoding encoding) {
  switch (encoding) {
    case Encoding::kRaw:
      return "raw";
    case Encoding::kZero:
      return "zero";
    case Encoding::kZstd:
      return "zstd";
    case Encoding::kPlanes:
      return "planes";
    case Encoding::kDelta:
      return "delta";
    case Encoding::kSparse:
      return "sparse";
    case Encoding::kDerived:
      return "derived";
    case Encoding::kReplay:
      return "replay";
  }
  return "unknown";
}

bool is_zero(ByteSpan bytes) {
  // Equal to itself shifted by one, and zero at the front: one comparison at the speed of memcmp.
  if (bytes.empty()) return true;
  return bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

Result<size_t> zstd_encode(ByteSpan bytes, int level, MutableBytes out) {
  thread_local const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(),
                                                                                ZSTD_freeCCtx);
  if (context == nullptr) return fail(Code::kFailed, "zstd: out of memory");
  const size_t count =
      ZSTD_compressCCtx(context.get(), out.data(), out.size(), bytes.data(), bytes.size(), level);
  if (ZSTD_isError(count)) {
    return fail(Code::kFailed, fmt::format("zstd: {}", ZSTD_getErrorName(count)));
  }
  return count;
}

static Status wrong_length(size_t stored, size_t wanted) {
  return fail(Code::kCorrupt,
              fmt::format("{} stored bytes cannot be the copy of {}", stored, wanted));
}

static Status zstd_decode(ByteSpan stored, MutableBytes out) {
  thread_local const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                                ZSTD_freeDCtx);
  if (context == nullptr) return fail(Code::kFailed, "zstd: out of memory");
  // One frame, as docs/FORMAT.md says; zstd itself takes several.
  const size_t frame = ZSTD_findFrameCompressedSize(stored.data(), stored.size());
  if (!ZSTD_isError(frame) && frame != stored.size()) {
    return fail(Code::kCorrupt, "zstd: bytes after the frame");
  }
  const size_t count =
      ZSTD_decompressDCtx(context.get(), out.data(), out.size(), stored.data(), stored.size());
  if (ZSTD_isError(count)) {
    return fail(Code::kCorrupt, fmt::format("zstd: {}", ZSTD_getErrorName(count)));
  }
  if (count != out.size()) return wrong_length(stored.size(), out.size());
  return {};
}

static Status raw_decode(ByteSpan stored, MutableBytes out) {
  if (stored.size() != out.size()) return wrong_length(stored.size(), out.size());
  if (!out.empty()) std::memcpy(out.data(), stored.data(), stored.size());
  return {};
}

static Status zero_decode(ByteSpan stored, MutableBytes out) {
  if (!stored.empty()) return wrong_length(stored.size(), out.size());
  std::fill(out.begin(), out.end(), uint8_t{0});
  return {};
}

static tl::unexpected<Error> newer_encoding(Encoding encoding) {
  return fail(Code::kNewerFormat,
              fmt::format("encoding {} is not known to this version", static_cast<int>(encoding)),
              "use a newer cairn");
}

/// Encodings 0 to 6 have so many.
static Status expect_bases(size_t met, Encoding encoding) {
  const size_t wanted = encoding >= Encoding::kDelta ? 1 : 0;
  if (met == wanted) return {};
  return fail(Code::kCorrupt, fmt::format("{} bases of an encoding that has {}", met, wanted));
}

Status decode(Encoding encoding, ByteSpan parameters, ByteSpan stored,
              std::span<const ByteSpan> bases, MutableBytes out) {
  if (encoding < Encoding::kReplay) CAIRN_CHECK(expect_bases(bases.size(), encoding));
  if (encoding < Encoding::kPlanes && !parameters.empty()) {
    return fail(Code::kCorrupt, "parameters of an encoding that has none");
  }
  switch (encoding) {
    case Encoding::kRaw:
      return raw_decode(stored, out);
    case Encoding::kZero:
      return zero_decode(stored, out);
    case Encoding::kZstd:
      return zstd_decode(stored, out);
    case Encoding::kPlanes:
      return decode_planes(parameters, stored, out);
    case Encoding::kDelta:
    case Encoding::kSparse:
      return decode_delta(encoding, parameters, stored, bases[0], out);
    case Encoding::kDerived:
      return decode_derived(parameters, stored, bases[0], out);
    case Encoding::kReplay:
      return decode_replay(parameters, stored, bases, out);
  }
  return newer_encoding(encoding);
}

Status decode(Encoding encoding, ByteSpan stored, MutableBytes out) {
  return decode(encoding, {}, stored, {}, out);
}

}  // namespace cairn
