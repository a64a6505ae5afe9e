// Ranks tell each other whether they are well, so that one that has failed is not waited for: all
// end with its error.
#pragma once

#include <string_view>
#include <vector>

#include "base/digest.h"
#include "gpu/transport.h"

namespace cairn::gpu {

/// What a status takes in memory that travels.
inline constexpr uint64_t kToldStatusBytes = 1024;

/// Text that is too long is cut. REQUIRES: out.size() == kToldStatusBytes.
void tell_status(const Status& status, MutableBytes out);
/// What tell_status() wrote; kCorrupt where it did not. REQUIRES: as long as that.
Status told_status(ByteSpan told);

/// How making a value went, as a rank says it.
template <class T>
Status status_of(const Result<T>& made) {
  return made ? Status() : tl::unexpected(made.error());
}

/// The error of a rank as the others report it: "rank 3: what it said".
Error error_of(unsigned rank, Error error);

/// One all-gather. All ranks say how they are, and a digest: those of all ranks. Errors: own's, if
/// that is one; that of the lowest rank that has one, naming it; kNewerFormat when they speak
/// another version of this; the transport's.
Result<std::vector<Digest>> tell_all(Transport& transport, const Status& own, const Digest& digest);

/// One all-gather. All ranks say how they are, and the digest of what they are about to do.
/// Errors: as tell_all(); kUsage naming the ranks whose digest is not that of most, and `what` it
/// is of.
Status agree(Transport& transport, std::string_view what, const Status& own, const Digest& digest);

}  // namespace cairn::gpu
