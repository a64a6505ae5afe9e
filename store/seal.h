// The seal of a copy: the first 8 bytes of the digest of its stored bytes, at the end of its
// parameter block (docs/FORMAT.md, section 7). Copies that are decoded with others carry one, so
// that each can be checked, and blamed, by itself.
#pragma once

#include "store/locator.h"

namespace cairn {

/// Whether copies in this encoding carry a seal.
bool is_sealed(Encoding encoding);

/// A codec's parameters with the seal behind them.
Bytes seal_parameters(ByteSpan parameters, ByteSpan stored);

/// The parameters without the seal; empty when they are too short for one.
ByteSpan codec_parameters(const Copy& copy);

/// Whether the stored bytes are those that were written. Errors: kCorrupt.
Status check_seal(const Copy& copy, ByteSpan stored);

/// Why a copy cannot be decoded: damaged bytes may look like those of a newer version.
Error decode_error(const Copy& copy, ByteSpan stored, const Error& met);

}  // namespace cairn
