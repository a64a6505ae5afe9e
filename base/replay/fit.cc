#include "base/replay/fit_gradient.h"
#include "base/replay/fit_moments.h"
#include "base/replay/fit_parameter.h"
#include "base/replay/float_environment.h"
#include "base/replay/predictor.h"
#include "base/replay/replay.h"
#include "base/replay/rules.h"

namespace cairn {
namespace {

/// The base that holds the items of the step before.
size_t past_of(ReplayRule rule) { return rule == ReplayRule::kAdamSecondMoment ? 2 : 0; }

bool is_fit_to_try(ReplayRule rule, ReplayInput items, std::span<const ReplayInput> bases) {
  if (!is_known(rule) || bases.size() != base_count(rule) || items.bytes.empty()) return false;
  const size_t width = item_bytes(items.dtype), count = items.bytes.size() / width;
  for (const ReplayInput& base : bases) {
    if (base.bytes.size() != count * item_bytes(base.dtype)) return false;
  }
  return items.bytes.size() % width == 0;
}

}  // namespace

std::optional<ReplayParameters> fit_replay(ReplayRule rule, const StepFacts& facts,
                                           ReplayInput items, std::span<const ReplayInput> bases) {
  if (!is_fit_to_try(rule, items, bases)) return std::nullopt;
  const PlainFloats plain;
  const ReplaySample sample(items, bases);
  ReplayFitter fitter(rule, sample, past_of(rule));
  switch (rule) {
    case ReplayRule::kAdamSecondMoment:
      fit_second_moment(facts, fitter);
      break;
    case ReplayRule::kAdamParameter:
      fit_adam_parameter(facts, fitter);
      break;
    case ReplayRule::kAdamFirstMoment:
      fit_first_moment(facts, fitter);
      break;
    case ReplayRule::kSgdParameter:
    case ReplayRule::kNesterovParameter:
      fit_sgd_parameter(rule, facts, fitter);
      break;
    case ReplayRule::kAdamMaximum:
      fitter.attempt(0, {});
      break;
    case ReplayRule::kLionParameter:
      fit_lion_parameter(facts, fitter);
      break;
    case ReplayRule::kDecayedFirstMoment:
      fit_decayed_first_moment(facts, fitter);
      break;
    case ReplayRule::kGradientParameter:
      fit_gradient_parameter(facts, fitter);
      break;
  }
  return fitter.result();
}

}  // namespace cairn
