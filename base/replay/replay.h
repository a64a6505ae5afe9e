// Encoding 7: state of an optimizer predicted by the optimizer's own update rule, in IEEE
// arithmetic of which docs/FORMAT.md, section 7.4, fixes every rounding. The prediction need not be
// right: what differs is stored beside it. So nothing here decides whether a tag is correct, only
// how small it is.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/encodings/encode.h"

namespace cairn {

enum class ReplayRule : uint8_t {
  kAdamSecondMoment = 1,   ///< exp_avg_sq from: exp_avg, old exp_avg, old exp_avg_sq
  kAdamParameter = 2,      ///< parameter from: old parameter, exp_avg, exp_avg_sq
  kAdamFirstMoment = 3,    ///< exp_avg from: old exp_avg, and a BF16 gradient stored beside it
  kSgdParameter = 4,       ///< parameter from: old parameter, momentum buffer
  kAdamMaximum = 5,        ///< max_exp_avg_sq (amsgrad) from: old max_exp_avg_sq, exp_avg_sq
  kNesterovParameter = 6,  ///< parameter from: old parameter, momentum buffer, old buffer
  kLionParameter = 7,      ///< parameter from: old parameter, exp_avg, old exp_avg
  /// exp_avg from: old exp_avg, old parameter, and a BF16 gradient that the decay is added to
  kDecayedFirstMoment = 8,
  kGradientParameter = 9,  ///< parameter from: old parameter, and a BF16 gradient or update
};

/// One whose name is not known is none of these: everything is tried.
enum class OptimizerKind : uint8_t { kAdam, kAdamW, kSgd, kLion, kMuon };

enum class ReplayDtype : uint8_t { kF32 = 0, kBf16 = 1, kF16 = 2 };

/// What the trainer is known or believed to have done in the step. Unset: not known.
struct StepFacts {
  std::optional<double> step;  ///< 1 for the first one
  std::optional<double> lr, beta1, beta2, eps, weight_decay;
  std::optional<double> clip;                 ///< what the gradients were multiplied with
  std::optional<double> momentum, dampening;  ///< of SGD and Muon
  std::optional<OptimizerKind> optimizer;

  bool operator==(const StepFacts&) const = default;
};

/// A chunk, its dtype.
struct ReplayInput {
  ByteSpan bytes;
  ReplayDtype dtype = ReplayDtype::kF32;
};

/// A rule with all numbers that its arithmetic needs, as exact bits: a parameter block.
struct ReplayParameters {
  ReplayRule rule = ReplayRule::kAdamSecondMoment;
  uint8_t variant = 0;  ///< the order of operations, rule by rule
  ReplayDtype result = ReplayDtype::kF32;
  std::array<ReplayDtype, 3> bases{};
  std::vector<uint32_t> scalars;  ///< bits of F32

  bool operator==(const ReplayParameters&) const = default;
};

/// How many bases the rule has.
size_t base_count(ReplayRule rule);

Bytes encode_replay_parameters(const ReplayParameters& parameters);
/// Errors: kCorrupt, kNewerFormat (a rule or variant that this version does not know).
Result<ReplayParameters> decode_replay_parameters(ByteSpan bytes);

/// Whether the rule takes a gradient beside its bases. REQUIRES: a known rule and variant.
bool has_gradient(const ReplayParameters& parameters);
/// What the rule predicts. `gradient`: BF16, of rules that take one. Errors: kCorrupt for sizes
/// that do not fit. Threads: any; sets its own rounding mode.
Status predict_replay(const ReplayParameters& parameters, std::span<const ByteSpan> bases,
                      ByteSpan gradient, MutableBytes out);

/// Looks for the variant and the numbers that predict a sample of `items` best. nullopt when the
/// facts do not suffice or nothing predicts them noticeably. Costs about a millisecond.
/// REQUIRES: base_count(rule) bases of as many items. Threads: any.
std::optional<ReplayParameters> fit_replay(ReplayRule rule, const StepFacts& facts,
                                           ReplayInput items, std::span<const ReplayInput> bases);

/// REQUIRES: as fit_replay. Threads: any; sets its own rounding mode.
Encoded encode_replay(const ReplayParameters& parameters, ByteSpan items,
                      std::span<const ByteSpan> bases, Effort effort);
/// Errors: kCorrupt, kNewerFormat.
Status decode_replay(ByteSpan parameters, ByteSpan stored, std::span<const ByteSpan> bases,
                     MutableBytes out);

}  // namespace cairn
