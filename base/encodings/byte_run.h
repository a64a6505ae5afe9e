// Runs: the bytes of one plane, coded by whatever makes them smaller (docs/FORMAT.md, section 7.2).
#pragma once

#include "base/bytes.h"
#include "base/error.h"

namespace cairn {

/// How much time an encoder may spend. Every effort decodes in the same way.
enum class Effort : uint8_t {
  kFast,      ///< entropy coding only where it is sure to pay
  kBalanced,  ///< entropy coding of every plane that shrinks
  kSmall,     ///< also looks for repetitions
};

inline constexpr size_t kRunBytesMax = 65536;

enum class RunCoding : uint8_t { kConstant = 0, kPlain = 1, kZstd = 2, kGaps = 3 };

/// Appends the run; never more than 1 byte longer than `bytes`. REQUIRES: 1 to kRunBytesMax bytes.
/// Threads: any.
void append_run(ByteSpan bytes, Effort effort, Bytes& out);
/// The same where the caller has found out already what is smallest, unless all bytes are equal.
void append_run(ByteSpan bytes, RunCoding coding, Effort effort, Bytes& out);

/// Takes a run of out.size() bytes off the front of `stored`. Errors: kCorrupt, kNewerFormat.
/// Threads: any.
Status read_run(ByteSpan& stored, MutableBytes out);
/// The same without a copy of plain bytes: what is returned lies in `stored` or in `room`.
Result<ByteSpan> view_run(ByteSpan& stored, MutableBytes room);

}  // namespace cairn
