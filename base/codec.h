// How one stored copy is held (docs/FORMAT.md, section 7). An encoding is never part of a digest:
// the digest is that of the decoded bytes.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace cairn {

/// Codes on disk. 3 planes, 4 delta, 5 sparse, 6 derived and 7 replay are set aside.
enum class Encoding : uint8_t { kRaw = 0, kZero = 1, kZstd = 2 };

/// Whether this version can decode it.
inline bool is_known(Encoding encoding) { return encoding <= Encoding::kZstd; }

std::string_view encoding_name(Encoding encoding);

bool is_zero(ByteSpan bytes);

/// The number of bytes written to `out`. Errors: kFailed when they do not fit. Threads: any.
Result<size_t> zstd_encode(ByteSpan bytes, int level, MutableBytes out);

/// Fills `out` exactly. Errors: kCorrupt when `stored` is damaged or of another length,
/// kNewerFormat for an encoding this version does not know. Threads: any.
Status decode(Encoding encoding, ByteSpan stored, MutableBytes out);

}  // namespace cairn
