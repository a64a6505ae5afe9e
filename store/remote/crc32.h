// CRC-32 as zip and S3 have it: what a part of an upload is told by.
#pragma once

#include <libdeflate.h>

#include "base/bytes.h"

namespace cairn::remote {

inline uint32_t crc32_of(ByteSpan bytes) { return libdeflate_crc32(0, bytes.data(), bytes.size()); }

}  // namespace cairn::remote
