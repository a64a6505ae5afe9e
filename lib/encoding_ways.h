// In which ways a member of a cluster could be encoded, by what it is and what is known beside it.
#pragma once

#include <vector>

#include "base/encodings/cast.h"
#include "base/replay/replay.h"
#include "lib/cluster.h"

namespace cairn {

enum class Way : uint8_t { kZstd, kPlanes, kDelta, kDerived, kReplay };

/// Bytes that a copy is decoded with: those of a member, as they are now or were in the base.
struct WaySource {
  size_t member = 0;
  bool before = false;
};

struct EncodingWay {
  Way way = Way::kPlanes;
  std::vector<WaySource> sources = {};
  Cast cast = Cast::kF32ToBf16;                     ///< of kDerived
  ReplayRule rule = ReplayRule::kAdamSecondMoment;  ///< of kReplay
};

struct WayOptions {
  bool predict = true;         ///< from the optimizer
  bool weights_first = false;  ///< weights by themselves, masters from them
  /// Parameters may follow from a gradient or an update that no other state tells.
  bool from_gradients = false;
};

/// The likeliest first; never empty. REQUIRES: a member number of the cluster.
std::vector<EncodingWay> ways_of(const Cluster& cluster, size_t member, const WayOptions& options);

/// The bytes of a source.
ByteSpan bytes_of(const Cluster& cluster, const WaySource& source);
/// nullopt for a dtype that replay does not know.
std::optional<ReplayDtype> replay_dtype(Dtype dtype);

}  // namespace cairn
