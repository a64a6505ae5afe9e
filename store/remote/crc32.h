// CRC-32 as zip and S3 have it: what a part of an upload is told by.
#pragma once

#include <libdeflate.h>

#include "base/bytes.h"

namespace cairn::remote {

/// Of what `before` is of, followed by `bytes`.
inline uint32_t crc32_of(ByteSpan bytes, uint32_t before = 0) {
  return libdeflate_crc32(before, bytes.data(), bytes.size());
}

}  // namespace cairn::remote
