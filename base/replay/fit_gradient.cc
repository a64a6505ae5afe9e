#include "base/replay/fit_gradient.h"

#include <bit>

#include "base/replay/facts.h"
#include "base/replay/resting.h"
#include "base/replay/rules.h"

namespace cairn {
namespace {

// Exact in so many items, a gradient need not be looked for any further.
constexpr double kGoodEnough = 0.99;
constexpr double kAllButExact = 0.9999;

/// moment = kept * moment + taken * gradient, as F64 and as the bits that go into the arithmetic.
struct Update {
  double kept = 0, taken = 1;
  uint32_t taken_bits = 0;
};

void add_averages(const std::vector<double>& betas, std::vector<Update>& updates) {
  for (const double beta : betas) {
    for (const uint32_t bits : complements(beta)) updates.push_back({beta, 1 - beta, bits});
  }
}

void add_sums(const std::vector<double>& momenta, double taken, std::vector<Update>& updates) {
  for (const double kept : momenta) updates.push_back({kept, taken, scalar_bits(taken)});
}

std::vector<Update> likely_updates(const StepFacts& facts) {
  std::vector<Update> updates;
  const double taken = 1 - facts.dampening.value_or(0);
  if (facts.optimizer == OptimizerKind::kSgd) {
    add_sums(known_or(facts.momentum, {0.9, 0.95, 0.99}), taken, updates);
  } else if (facts.optimizer == OptimizerKind::kMuon) {
    add_averages(known_or(facts.momentum, {0.95, 0.9}), updates);
    add_sums(known_or(facts.momentum, {0.95, 0.9}), taken, updates);
    // Not all parameters are Muon's.
    add_averages(known_or(facts.beta1, {0.9, 0.8}), updates);
  } else if (facts.optimizer == OptimizerKind::kLion) {
    add_averages(known_or(facts.beta2, {0.99, 0.98, 0.95}), updates);
  } else {
    add_averages(first_betas(facts), updates);
    if (facts.momentum) add_sums({*facts.momentum}, taken, updates);
    // Lion's, when nobody says that it is none.
    if (!facts.optimizer && facts.beta2) add_averages({*facts.beta2}, updates);
  }
  return updates;
}

std::vector<uint32_t> scalars_of(const Update& update, float clip, std::optional<double> decay,
                                 bool is_wide) {
  std::vector<uint32_t> scalars = {update.taken_bits, scalar_bits(update.kept),
                                   std::bit_cast<uint32_t>(clip)};
  if (decay) scalars.push_back(scalar_bits(*decay));
  if (is_wide) {
    append_wide(scalars, update.kept);
    append_wide(scalars, update.taken);
  }
  return scalars;
}

/// `decay`: what the gradient has of the parameter, which is the second base; `flags` of it.
void fit_moment(const StepFacts& facts, std::optional<double> decay,
                const std::vector<uint8_t>& flags, ReplayFitter& fitter) {
  const ReplaySample& sample = fitter.sample();
  const std::vector<float> moments = sample.item_floats(), old = sample.base_floats(0);
  const std::vector<float> decayed = decay ? sample.base_floats(1) : std::vector<float>();
  const bool rests = sample.dtype() == ReplayDtype::kF32 &&
                     sample.base_dtype(0) == ReplayDtype::kF32 &&
                     has_resting(sample.items(), sample.bases()[0]);
  Update best;
  float best_clip = 1;
  for (const Update& update : likely_updates(facts)) {
    const bool is_sum = update.kept + update.taken != 1;
    const uint8_t usual = is_sum ? 4 : 0;
    const double taken = std::bit_cast<float>(update.taken_bits);
    const GradientSource source{
        is_sum ? update.kept : 1 - taken, taken, decay.value_or(0), moments, old, decayed};
    std::vector<float> clips = clips_of(facts, source);
    // Where there is no gradient any factor will do.
    if (clips.empty() && rests) clips.push_back(1);
    for (const float clip : clips) {
      for (const uint8_t flag : flags) {
        if (!fitter.attempt(usual | flag, scalars_of(update, clip, decay, false))) continue;
        best = update;
        best_clip = clip;
      }
      if (fitter.exact_share() >= kAllButExact) return;
    }
    if (fitter.exact_share() >= kGoodEnough) return;
  }
  if (!fitter.has_best()) return;
  for (const uint8_t flag : flags) {
    for (uint8_t number = 0; number < kFirstUpdates; ++number) {
      fitter.attempt(number | flag, scalars_of(best, best_clip, decay, number == kFirstWide));
    }
  }
}

/// The variants of the descent, with the decay that the gradient has.
void attempt_descents(uint8_t decay, const std::vector<uint32_t>& scalars, ReplayFitter& fitter) {
  fitter.attempt(decay, scalars);
  fitter.attempt(decay | kDescentApart, scalars);
}

void fit_plain_sgd(const StepFacts& facts, ReplayFitter& fitter) {
  const double decay = facts.weight_decay.value_or(0);
  const ReplaySample& sample = fitter.sample();
  const std::vector<float> now = sample.item_floats(), old = sample.base_floats(0);
  for (const float clip : clips_of(facts, {1, -*facts.lr, decay, now, old, old})) {
    const std::vector<uint32_t> scalars = {scalar_bits(*facts.lr), std::bit_cast<uint32_t>(clip),
                                           scalar_bits(1), scalar_bits(decay)};
    if (decay == 0) attempt_descents(kGradientDecayNone, scalars, fitter);
    if (decay != 0) attempt_descents(kGradientDecayFused, scalars, fitter);
    if (decay != 0) attempt_descents(kGradientDecayApart, scalars, fitter);
    if (fitter.exact_share() >= kAllButExact) return;
  }
}

/// The step's size depends on the shape in ways that differ, so it is looked for like a clip
/// factor.
void fit_muon(const StepFacts& facts, ReplayFitter& fitter) {
  const double kept = 1 - facts.lr.value_or(0) * facts.weight_decay.value_or(0);
  const ReplaySample& sample = fitter.sample();
  const std::vector<float> now = sample.item_floats(), old = sample.base_floats(0);
  const double rounded = static_cast<float>(kept);
  for (const float size : likely_clips(seen_gradients({rounded, -1, 0, now, old}))) {
    attempt_descents(kGradientDecayNone,
                     {std::bit_cast<uint32_t>(size), scalar_bits(1), scalar_bits(kept), 0}, fitter);
    if (fitter.exact_share() >= kAllButExact) return;
  }
}

}  // namespace

std::vector<float> clips_of(const StepFacts& facts, const GradientSource& source) {
  std::vector<float> clips = likely_clips(seen_gradients(source));
  if (facts.clip) clips.insert(clips.begin(), static_cast<float>(*facts.clip));
  return clips;
}

void fit_first_moment(const StepFacts& facts, ReplayFitter& fitter) {
  fit_moment(facts, {}, {0}, fitter);
}

void fit_decayed_first_moment(const StepFacts& facts, ReplayFitter& fitter) {
  const bool adds = !facts.optimizer || facts.optimizer == OptimizerKind::kAdam ||
                    facts.optimizer == OptimizerKind::kSgd;
  if (!adds || !facts.weight_decay || *facts.weight_decay == 0) return;
  fit_moment(facts, facts.weight_decay, {0, kDecayedApart}, fitter);
}

void fit_gradient_parameter(const StepFacts& facts, ReplayFitter& fitter) {
  if (facts.optimizer == OptimizerKind::kMuon) fit_muon(facts, fitter);
  if (facts.optimizer == OptimizerKind::kSgd && facts.lr) fit_plain_sgd(facts, fitter);
}

}  // namespace cairn
