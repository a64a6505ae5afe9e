#define ZSTD_STATIC_LINKING_ONLY  // sequences made by the caller; exported since zstd 1.5.0
#include "base/encodings/zstd_frame.h"

#include <fmt/format.h>
#include <zstd.h>

#include <array>
#include <memory>

#include "base/encodings/byte_run.h"

namespace cairn {

using Compressor = std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)>;

/// Frames as small as they can be: what they leave out, the reader knows.
static Compressor bare_compressor() {
  Compressor context(ZSTD_createCCtx(), ZSTD_freeCCtx);
  if (context == nullptr) return context;
  for (const auto flag : {ZSTD_c_contentSizeFlag, ZSTD_c_checksumFlag, ZSTD_c_dictIDFlag}) {
    (void)ZSTD_CCtx_setParameter(context.get(), flag, 0);
  }
  (void)ZSTD_CCtx_setParameter(context.get(), ZSTD_c_literalCompressionMode, ZSTD_ps_enable);
  return context;
}

/// With the smallest tables, which are cleared for each frame and never used.
static Compressor literal_compressor() {
  Compressor context = bare_compressor();
  if (context == nullptr) return context;
  constexpr std::pair<ZSTD_cParameter, int> kParameters[] = {
      {ZSTD_c_strategy, ZSTD_fast},
      {ZSTD_c_windowLog, 17},
      {ZSTD_c_hashLog, ZSTD_HASHLOG_MIN},
      {ZSTD_c_chainLog, ZSTD_CHAINLOG_MIN},
      {ZSTD_c_blockDelimiters, ZSTD_sf_explicitBlockDelimiters},
  };
  for (const auto& [parameter, value] : kParameters) {
    (void)ZSTD_CCtx_setParameter(context.get(), parameter, value);
  }
  return context;
}

// Where there is room for the longest code of all bytes, zstd leaves out checks of the room.
using FrameRoom = std::array<uint8_t, 2 * kRunBytesMax + 1024>;

static MutableBytes frame_room() {
  thread_local const auto room = std::make_unique<FrameRoom>();
  return *room;
}

ByteSpan huffman_frame(ByteSpan bytes) {
  thread_local const Compressor context = literal_compressor();
  if (context == nullptr) return {};
  const MutableBytes room = frame_room();
  const ZSTD_Sequence literals = {0, static_cast<unsigned>(bytes.size()), 0, 0};
  const size_t count = ZSTD_compressSequences(context.get(), room.data(), room.size(), &literals, 1,
                                              bytes.data(), bytes.size());
  if (ZSTD_isError(count) || count >= bytes.size()) return {};
  return room.first(count);
}

ByteSpan smaller_frame(ByteSpan bytes, int level) {
  thread_local const Compressor context = bare_compressor();
  thread_local const auto room = std::make_unique<FrameRoom>();
  const ByteSpan literals = huffman_frame(bytes);
  if (context == nullptr) return literals;
  (void)ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  const size_t count =
      ZSTD_compress2(context.get(), room->data(), room->size(), bytes.data(), bytes.size());
  if (ZSTD_isError(count) || count >= bytes.size()) return literals;
  if (!literals.empty() && literals.size() <= count) return literals;
  return ByteSpan(*room).first(count);
}

Status decode_frame(ByteSpan frame, MutableBytes out) {
  thread_local const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                                ZSTD_freeDCtx);
  if (context == nullptr) return fail(Code::kFailed, "zstd: out of memory");
  // zstd would also take several frames, ones to be skipped and those of its old formats.
  if (frame.size() < 4 || load_le<uint32_t>(frame) != ZSTD_MAGICNUMBER ||
      ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size()) {
    return fail(Code::kCorrupt, "a run is not one zstd frame");
  }
  const size_t count =
      ZSTD_decompressDCtx(context.get(), out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(count)) {
    return fail(Code::kCorrupt, fmt::format("zstd: {}", ZSTD_getErrorName(count)));
  }
  if (count != out.size()) {
    return fail(Code::kCorrupt, fmt::format("a run of {} bytes holds {}", out.size(), count));
  }
  return {};
}

}  // namespace cairn
