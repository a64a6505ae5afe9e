// Chooses for each chunk the encoding that makes it smallest, by trial on a sample, and encodes it.
// The base tag remembers what did best for the chunk one save ago: as long as that is the likeliest
// way and does not do much worse, nothing is tried. What a trial has shown for tensors of one kind
// is kept for a while, so that a save does not burn time on what will not shrink.
#pragma once

#include <compare>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>
#include <vector>

#include "lib/encoding_ways.h"

namespace cairn {

struct EncoderOptions {
  Effort effort = Effort::kBalanced;
  int zstd_level = 0;  ///< other than 0: zstd on every chunk, and nothing else
  bool predict = true;
  /// Asked before a chunk without a base is encoded by itself; unset: there always is.
  std::function<bool()> has_time = {};
};

/// A way, with the numbers of its rule if it has one.
struct FittedWay {
  EncodingWay way;
  std::optional<ReplayParameters> parameters = {};
};

/// Threads: any.
class ClusterEncoder {
 public:
  explicit ClusterEncoder(const EncoderOptions& options) : options_(options) {}

  /// The smallest encoding found, proven by decoding it; nullopt when the chunk is best stored as
  /// it is. REQUIRES: members that it may be made from have their bytes.
  Result<std::optional<EncodedChunk>> encode(const Cluster& cluster, size_t member,
                                             const StepFacts& facts, bool weights_first);

  /// What a trial of these bytes shows to be the best way; nullopt when none is worth it. The facts
  /// are those of the member, as for encode().
  std::optional<FittedWay> find_way(const Cluster& cluster, size_t member, const StepFacts& facts,
                                    bool weights_first);

 private:
  std::vector<EncodingWay> all_ways(const Cluster& cluster, size_t member, const StepFacts& facts,
                                    bool weights_first) const;
  /// What chunks have in common that a trial speaks for.
  struct Kind {
    Role role = Role::kNone;
    Dtype dtype = Dtype::kU8;
    bool has_before = false, weights_first = false;
    std::optional<OptimizerKind> optimizer;
    bool rests = false;  // in part
    std::vector<std::tuple<Way, Cast, ReplayRule>> ways;

    auto operator<=>(const Kind&) const = default;
  };
  struct Memory {
    std::optional<size_t> way;  // of ways_of(); nullopt: raw
    unsigned uses_left = 0;
  };
  struct Chance {
    bool weights_first = false;
    bool has_drifted = false;  // what was shown before does not hold any more
  };
  /// What numbers that were found once are good for.
  struct FitKey {
    ReplayRule rule = ReplayRule::kAdamSecondMoment;
    std::vector<ReplayDtype> dtypes;  // of the items and the bases
    std::optional<size_t> item;       // where they are those of one tensor
    StepFacts facts;

    bool operator==(const FitKey&) const = default;
  };
  struct Fit {
    FitKey key;
    std::optional<ReplayParameters> parameters;
    unsigned failures = 0;
  };

  std::optional<Encoded> encode_way(const Cluster& cluster, size_t member, const EncodingWay& way,
                                    const StepFacts& facts);
  std::optional<ReplayParameters> fit(const Cluster& cluster, size_t member, const EncodingWay& way,
                                      const StepFacts& facts);
  /// nullopt: to be looked for; nullopt in it: nothing fits.
  std::optional<std::optional<ReplayParameters>> known_fit(const FitKey& key);
  void remember(const FitKey& key, const std::optional<ReplayParameters>& found);
  std::optional<size_t> choose(const Cluster& cluster, size_t member,
                               const std::vector<EncodingWay>& ways, const StepFacts& facts,
                               Chance chance);
  std::optional<size_t> try_all(const Cluster& cluster, size_t member,
                                const std::vector<EncodingWay>& ways, const StepFacts& facts);

  const EncoderOptions options_;
  std::mutex mutex_;
  std::map<Kind, Memory> memory_;
  std::vector<Fit> fits_;
};

}  // namespace cairn
