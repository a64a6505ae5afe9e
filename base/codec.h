// How one stored copy is held (docs/FORMAT.md, section 7). An encoding is never part of a digest:
// the digest is that of the decoded bytes.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace cairn {

/// Codes on disk.
enum class Encoding : uint8_t {
  kRaw = 0,
  kZero = 1,
  kZstd = 2,
  kPlanes = 3,
  kDelta = 4,
  kSparse = 5,
  kDerived = 6,
  kReplay = 7,
};

/// Whether this version can decode it.
inline bool is_known(Encoding encoding) { return encoding <= Encoding::kReplay; }

std::string_view encoding_name(Encoding encoding);

bool is_zero(ByteSpan bytes);

/// The number of bytes written to `out`. Errors: kFailed when they do not fit. Threads: any.
Result<size_t> zstd_encode(ByteSpan bytes, int level, MutableBytes out);

/// Fills `out` exactly; `bases` are the decoded bytes of the copies that the encoding names, none
/// of which overlaps `out` (but for delta and sparse, where it may be the base itself). Errors:
/// kCorrupt when `stored` or `parameters` are damaged or of another length or the bases are not
/// those of the encoding, kNewerFormat for an encoding or a part of one that this version does not
/// know; `out` then holds anything. Threads: any.
Status decode(Encoding encoding, ByteSpan parameters, ByteSpan stored,
              std::span<const ByteSpan> bases, MutableBytes out);
/// The same for encodings without bases and parameters: raw, zero, zstd.
Status decode(Encoding encoding, ByteSpan stored, MutableBytes out);

}  // namespace cairn
