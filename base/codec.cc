#include "base/codec.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

namespace cairn {

std::string_view encoding_name(Encoding encoding) {
  switch (encoding) {
    case Encoding::kRaw:
      return "raw";
    case Encoding::kZero:
      return "zero";
    case Encoding::kZstd:
      return "zstd";
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
  const size_t count =
      ZSTD_decompressDCtx(context.get(), out.data(), out.size(), stored.data(), stored.size());
  if (ZSTD_isError(count)) {
    return fail(Code::kCorrupt, fmt::format("zstd: {}", ZSTD_getErrorName(count)));
  }
  if (count != out.size()) return wrong_length(stored.size(), out.size());
  return {};
}

Status decode(Encoding encoding, ByteSpan stored, MutableBytes out) {
  switch (encoding) {
    case Encoding::kRaw:
      if (stored.size() != out.size()) return wrong_length(stored.size(), out.size());
      if (!out.empty()) std::memcpy(out.data(), stored.data(), stored.size());
      return {};
    case Encoding::kZero:
      if (!stored.empty()) return wrong_length(stored.size(), out.size());
      std::fill(out.begin(), out.end(), uint8_t{0});
      return {};
    case Encoding::kZstd:
      return zstd_decode(stored, out);
  }
  return fail(Code::kNewerFormat,
              fmt::format("encoding {} is not known to this version", static_cast<int>(encoding)),
              "use a newer cairn");
}

}  // namespace cairn
