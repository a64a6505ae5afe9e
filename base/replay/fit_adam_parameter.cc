// The parameter of Adam and AdamW: by what is known of the step, else by what it did.
#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "base/replay/facts.h"
#include "base/replay/fit_parameter.h"
#include "base/replay/rules.h"
#include "base/replay/step_size.h"

namespace cairn {
namespace {

constexpr double kGoodEnough = 0.98;  // exact in so many items, other numbers are not looked for
constexpr size_t kMostSteps = 8;
constexpr double kMostScanned = 1 << 15;
constexpr double kLastStep = 1 << 20;  // after that, bias corrections are 1

/// The numbers of one step, not yet rounded to F32.
struct Numbers {
  double lr = 0, decay = 0, eps = 0;  ///< decay: lr * weight_decay
  double bias1 = 1, bias2 = 1;
  double weight_decay = 0;

  double size() const { return lr / bias1; }
  double root() const { return std::sqrt(bias2); }
};

constexpr uint8_t variant_of(uint8_t step, uint8_t decay) {
  return static_cast<uint8_t>(step << 2 | decay);
}

std::vector<uint32_t> scalars_of(const Numbers& n, uint8_t step, uint8_t decay) {
  const uint32_t d = scalar_bits(decay == kDecayFactor ? 1 - n.decay : n.decay);
  switch (step) {
    case kStepInside:
      return {scalar_bits(1), scalar_bits(n.root() * n.size()), scalar_bits(n.eps / n.size()), d};
    case kStepDivided:
      return {scalar_bits(n.size()), scalar_bits(n.root()), scalar_bits(n.eps), d};
    case kStepUnbiased:
      return {scalar_bits(n.lr), scalar_bits(n.bias2), scalar_bits(n.eps),
              scalar_bits(n.weight_decay), scalar_bits(n.bias1)};
    case kStepReciprocal:
      return {scalar_bits(n.size()), scalar_bits(1 / n.root()), scalar_bits(n.eps), d};
    default:
      return {scalar_bits(n.size()), scalar_bits(n.root()), scalar_bits(n.eps), d};
  }
}

void attempt_all(const Numbers& numbers, bool rounds, ReplayFitter& fitter) {
  const bool decays = static_cast<float>(1 - numbers.decay) != 1.0f;
  for (const uint8_t decay : {kDecayFactor, kDecayFused, kDecayApart, kDecayNone}) {
    if (decays == (decay == kDecayNone)) continue;
    for (uint8_t step = 0; step < kParameterSteps; ++step) {
      if (step == kStepUnbiased && decay != kDecayFused && decay != kDecayNone) continue;
      const uint8_t variant = variant_of(step, decay);
      fitter.attempt(variant, scalars_of(numbers, step, decay));
      if (rounds && step != kStepUnbiased) {
        fitter.attempt(variant | kParameterRounded, scalars_of(numbers, step, decay));
      }
    }
  }
}

double bias(double beta, double step) { return 1 - std::pow(beta, step); }

class AdamParameterFit {
 public:
  AdamParameterFit(const StepFacts& facts, ReplayFitter& fitter)
      : facts_(facts), fitter_(fitter), rounds_(fitter.sample().dtype() == ReplayDtype::kBf16) {}

  void by_facts() {
    if (!facts_.lr || !is_step(facts_.step)) return;
    for (const double beta1 : first_betas(facts_)) {
      for (const double beta2 : second_betas(facts_)) {
        for (const double eps : usual_eps(facts_)) {
          Numbers numbers = with_bias(beta1, beta2, *facts_.step);
          numbers.lr = *facts_.lr;
          numbers.weight_decay = facts_.weight_decay.value_or(0);
          numbers.eps = eps;
          attempt_all(numbers, rounds_, fitter_);  // of Adam, where the decay is in the gradient
          numbers.decay = numbers.lr * numbers.weight_decay;
          if (numbers.decay != 0) attempt_all(numbers, rounds_, fitter_);
        }
      }
    }
  }

  /// Without lr or weight decay, or where they did not fit.
  void by_effect() {
    items_ = fitter_.sample().item_floats();
    old_ = fitter_.sample().base_floats(0);
    moments_ = fitter_.sample().base_floats(1);
    squares_ = fitter_.sample().base_floats(2);
    const double beta1 = facts_.beta1.value_or(0.9);
    for (const double eps : usual_eps(facts_)) {
      for (const double beta2 : second_betas(facts_)) {
        for (const double step : likely_steps(eps, beta2)) {
          attempt_effect(with_bias(beta1, beta2, step), eps);
          if (is_good()) return;
        }
        if (!is_step(facts_.step) && !facts_.lr) break;  // beta2 is not looked at
      }
    }
  }

  bool is_good() const { return fitter_.exact_share() >= kGoodEnough; }

 private:
  static Numbers with_bias(double beta1, double beta2, double step) {
    Numbers numbers;
    numbers.bias1 = bias(beta1, step);
    numbers.bias2 = bias(beta2, step);
    return numbers;
  }
  std::optional<StepSize> solve(double root, double eps) const {
    std::vector<double> directions(items_.size());
    for (size_t i = 0; i < directions.size(); ++i) {
      directions[i] = moments_[i] / (std::sqrt(static_cast<double>(squares_[i])) / root + eps);
    }
    return solve_step(items_, old_, directions);
  }
  void attempt_effect(Numbers numbers, double eps) {
    const std::optional<StepSize> step = solve(numbers.root(), eps);
    if (!step || !(step->size > 0)) return;
    numbers.eps = eps;
    numbers.lr = step->size * numbers.bias1;
    numbers.decay = std::abs(step->decay) < 1.0 / (1 << 25) ? 0 : step->decay;
    numbers.weight_decay = numbers.decay / numbers.lr;
    const bool decays = numbers.decay != 0;
    const uint8_t variant = variant_of(kStepProduct, decays ? kDecayFactor : kDecayNone);
    if (!fitter_.attempt(variant, scalars_of(numbers, kStepProduct, kDecayFactor))) return;
    fitter_.polish(0);
    if (decays) fitter_.polish(3);
    fitter_.polish(0);
    // The same numbers in the other orders.
    const std::vector<uint32_t> scalars = fitter_.best().scalars;
    for (const uint8_t order : {kStepQuotient, kStepFused}) {
      fitter_.attempt(variant_of(order, decays ? kDecayFactor : kDecayNone), scalars);
    }
    if (rounds_) fitter_.attempt(variant | kParameterRounded, scalars);
  }
  /// The step, or those at which a known lr would have had the effect that was seen.
  std::vector<double> likely_steps(double eps, double beta2) const {
    if (is_step(facts_.step)) return {*facts_.step};
    std::vector<double> likely = {kLastStep};
    // The bias decides how much eps counts, so the effect is looked at again with a better one.
    for (int round = 0; facts_.lr && round < 3; ++round) {
      const double root = std::sqrt(bias(beta2, likely.front()));
      const std::optional<StepSize> seen = solve(root, eps);
      if (!seen || !(seen->size > 0)) break;
      likely = steps_of_effect(seen->size * root, beta2);
    }
    return likely;
  }
  std::vector<double> steps_of_effect(double seen, double beta2) const {
    const double beta1 = facts_.beta1.value_or(0.9);
    std::vector<std::pair<double, double>> steps;
    double left1 = 1, left2 = 1;  // powers of the betas
    for (double step = 1; step <= kMostScanned; ++step) {
      left1 *= beta1;
      left2 *= beta2;
      const double effect = *facts_.lr * std::sqrt(1 - left2) / (1 - left1);
      steps.emplace_back(std::abs(effect / seen - 1), step);
    }
    const size_t count = std::min(steps.size(), kMostSteps);
    std::partial_sort(steps.begin(), steps.begin() + static_cast<ptrdiff_t>(count), steps.end());
    std::vector<double> likely;
    for (size_t i = 0; i < count; ++i) likely.push_back(steps[i].second);
    likely.push_back(kLastStep);
    return likely;
  }

  const StepFacts& facts_;
  ReplayFitter& fitter_;
  const bool rounds_;
  std::vector<float> items_, old_, moments_, squares_;
};

}  // namespace

void fit_adam_parameter(const StepFacts& facts, ReplayFitter& fitter) {
  AdamParameterFit fit(facts, fitter);
  fit.by_facts();
  if (!fit.is_good()) fit.by_effect();
}

}  // namespace cairn
