// The zstd frames of runs. Planes have no repetitions worth the search, so most frames hold nothing
// but literals: bytes in a Huffman code. Any other frame decodes as well. Private to
// base/encodings.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

namespace cairn {

/// A frame of literals; empty when the bytes do not shrink. REQUIRES: at most kRunBytesMax bytes.
/// The frame is the thread's until the next call of this or smaller_frame.
ByteSpan huffman_frame(ByteSpan bytes);
/// The smaller of that and a frame with matches.
ByteSpan smaller_frame(ByteSpan bytes, int level);

/// Fills `out` exactly with the content of one frame. Errors: kCorrupt.
Status decode_frame(ByteSpan frame, MutableBytes out);

}  // namespace cairn
