#include "base/replay/fit_moments.h"

#include <bit>

#include "base/replay/facts.h"
#include "base/replay/fit_gradient.h"
#include "base/replay/rules.h"

namespace cairn {
namespace {

// Exact in so many items, a gradient need not be looked for any further.
constexpr double kGoodEnough = 0.99;
constexpr double kAllButExact = 0.9999;

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

/// What is held in BF16: each operation rounds to it, some also round beta2; and the gradients were
/// BF16 without a factor.
void attempt_rounded(ReplayFitter& fitter, SecondScalars& best) {
  const double exact = best.beta2;
  SecondScalars rounded = best;
  rounded.clip = 1;
  for (const double beta2 : {exact, bf16_number(exact)}) {
    rounded.beta2 = beta2;
    for (const uint8_t snapped : {uint8_t{0}, kSecondSnapped}) {
      for (uint8_t update = 0; update < 4; ++update) {
        attempt(fitter, kSecondRounded | snapped | update, rounded, best);
        if (beta2 == exact) attempt(fitter, snapped | update, rounded, best);
      }
    }
  }
}

}  // namespace

void fit_second_moment(const StepFacts& facts, ReplayFitter& fitter) {
  SecondScalars best;
  attempt_betas(facts, fitter, best);
  const ReplaySample& sample = fitter.sample();
  const std::vector<float> moments = sample.base_floats(0), old_moments = sample.base_floats(1);
  const double weight = std::bit_cast<float>(best.q1);
  for (const float clip : clips_of(facts, {1 - weight, weight, 0, moments, old_moments})) {
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
  if (sample.dtype() == ReplayDtype::kBf16) attempt_rounded(fitter, best);
}

}  // namespace cairn
