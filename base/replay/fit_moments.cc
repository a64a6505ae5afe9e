#include "base/replay/fit_moments.h"

#include <bit>

#include "base/replay/clip.h"
#include "base/replay/facts.h"
#include "base/replay/rules.h"

namespace cairn {
namespace {

// Exact in so many items, a gradient need not be looked for any further.
constexpr double kGoodEnough = 0.99;
constexpr double kAllButExact = 0.9999;

/// 1 - beta as Python makes it, and as trainers that work in F32 do.
std::vector<uint32_t> complements(double beta) {
  const uint32_t exact = scalar_bits(1 - beta);
  const auto in_f32 = std::bit_cast<uint32_t>(1.0f - static_cast<float>(beta));
  if (exact == in_f32) return {exact};
  return {exact, in_f32};
}

std::vector<float> clips_of(const StepFacts& facts, const std::vector<float>& moments,
                            const std::vector<float>& old_moments, uint32_t weight) {
  std::vector<float> clips = likely_clips(moments, old_moments, std::bit_cast<float>(weight));
  if (facts.clip) clips.insert(clips.begin(), static_cast<float>(*facts.clip));
  return clips;
}

struct SecondScalars {
  double beta1 = 0, beta2 = 0;
  uint32_t q1 = 0, q2 = 0;
  float clip = 1;

  std::vector<uint32_t> for_variant(uint8_t variant) const {
    std::vector<uint32_t> scalars = {q1,
                                     scalar_bits(beta1),
                                     q2,
                                     scalar_bits(beta2),
                                     std::bit_cast<uint32_t>(clip),
                                     std::bit_cast<uint32_t>(1.0f / clip)};
    if ((variant & kSecondUpdate) == kSecondWide) {
      append_wide(scalars, beta2);
      append_wide(scalars, 1 - beta2);
    }
    return scalars;
  }
};

/// Keeps `tried` in `best` when it predicts better.
void attempt(ReplayFitter& fitter, uint8_t variant, const SecondScalars& tried,
             SecondScalars& best) {
  if (fitter.attempt(variant, tried.for_variant(variant))) best = tried;
}

void attempt_betas(const StepFacts& facts, ReplayFitter& fitter, SecondScalars& best) {
  for (const double beta2 : second_betas(facts)) {
    for (const double beta1 : first_betas(facts)) {
      for (const uint32_t q1 : complements(beta1)) {
        for (const uint32_t q2 : complements(beta2)) {
          attempt(fitter, 0, {beta1, beta2, q1, q2}, best);
        }
      }
    }
  }
}

void attempt_updates(ReplayFitter& fitter, SecondScalars& best) {
  const uint8_t kept = fitter.best().variant & static_cast<uint8_t>(~kSecondUpdate);
  for (uint8_t update = 0; update < kSecondUpdates; ++update) {
    attempt(fitter, kept | update, best, best);
  }
}

}  // namespace

void fit_second_moment(const StepFacts& facts, ReplayFitter& fitter) {
  SecondScalars best;
  attempt_betas(facts, fitter, best);
  const ReplaySample& sample = fitter.sample();
  const std::vector<float> moments = sample.base_floats(0), old_moments = sample.base_floats(1);
  for (const float clip : clips_of(facts, moments, old_moments, best.q1)) {
    SecondScalars tried = best;
    tried.clip = clip;
    attempt(fitter, kSecondSnapped, tried, best);
    if (fitter.exact_share() >= kAllButExact) break;
  }
  if (fitter.exact_share() >= kAllButExact) return;
  attempt_updates(fitter, best);
  if (fitter.exact_share() < kGoodEnough) {
    attempt(fitter, fitter.best().variant ^ kSecondMoments, best, best);
    attempt_updates(fitter, best);
  }
  if (sample.dtype() == ReplayDtype::kBf16) {
    for (uint8_t update = 0; update < 4; ++update) {
      attempt(fitter, kSecondRounded | update, best, best);
    }
  }
}

void fit_first_moment(const StepFacts& facts, ReplayFitter& fitter) {
  const ReplaySample& sample = fitter.sample();
  const std::vector<float> moments = sample.item_floats(), old_moments = sample.base_floats(0);
  for (const double beta1 : first_betas(facts)) {
    for (const uint32_t q1 : complements(beta1)) {
      for (const float clip : clips_of(facts, moments, old_moments, q1)) {
        std::vector<uint32_t> scalars = {q1, scalar_bits(beta1), std::bit_cast<uint32_t>(clip)};
        fitter.attempt(0, scalars);
        if (fitter.exact_share() >= kAllButExact) return;
      }
    }
    if (fitter.exact_share() >= kGoodEnough) return;
  }
  if (!fitter.has_best()) return;
  const std::vector<uint32_t> scalars = fitter.best().scalars;
  const double beta1 = std::bit_cast<float>(scalars[1]);
  for (uint8_t update = 1; update < kFirstUpdates; ++update) {
    std::vector<uint32_t> tried = scalars;
    tried.resize(3);
    if (update == kFirstWide) {
      append_wide(tried, facts.beta1.value_or(beta1));
      append_wide(tried, 1 - facts.beta1.value_or(beta1));
    }
    fitter.attempt(update, tried);
  }
}

}  // namespace cairn
