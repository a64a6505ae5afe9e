#include "base/replay/fit_parameter.h"

#include <bit>

#include "base/replay/facts.h"
#include "base/replay/rules.h"
#include "base/replay/step_size.h"

namespace cairn {

namespace {

/// Whether it may be that optimizer. One that keeps second moments is asked about in other rules,
/// so that its name says nothing of parameters without them.
bool may_be(OptimizerKind kind, const StepFacts& facts) {
  return !facts.optimizer || *facts.optimizer == kind || *facts.optimizer == OptimizerKind::kAdam ||
         *facts.optimizer == OptimizerKind::kAdamW;
}

}  // namespace

namespace {

constexpr double kGoodEnough = 0.98;  // exact in so many items, another rate is not looked for

/// The parameter less lr times a direction: the buffer, or Nesterov's.
class DescentFit {
 public:
  DescentFit(ReplayRule rule, const StepFacts& facts, ReplayFitter& fitter)
      : fitter_(fitter), is_nesterov_(rule == ReplayRule::kNesterovParameter) {
    if (is_nesterov_) momenta_ = known_or(facts.momentum, {0.9, 0.95, 0.99});
  }

  void by_rate(double lr) {
    for (const double momentum : momenta_) attempt_variants(lr, momentum);
  }

  /// A schedule may have moved the rate on since the step, or nobody has said it.
  void by_effect() {
    const std::vector<float> items = fitter_.sample().item_floats();
    const std::vector<float> old = fitter_.sample().base_floats(0);
    for (const double momentum : momenta_) {
      const auto step = solve_step(items, old, directions(momentum));
      if (!step || !(step->size > 0)) continue;
      if (attempt_variants(step->size, momentum)) fitter_.polish(0);
    }
  }

 private:
  bool attempt_variants(double lr, double momentum) {
    std::vector<uint32_t> scalars = {scalar_bits(lr)};
    if (is_nesterov_) scalars.push_back(scalar_bits(momentum));
    bool helps = false;
    for (uint8_t variant = 0; variant < (is_nesterov_ ? 4 : 2); ++variant) {
      helps = fitter_.attempt(variant, scalars) || helps;
    }
    return helps;
  }

  std::vector<double> directions(double momentum) const {
    const std::vector<float> buffer = fitter_.sample().base_floats(1);
    std::vector<double> directions(buffer.begin(), buffer.end());
    if (!is_nesterov_) return directions;
    const std::vector<float> old_buffer = fitter_.sample().base_floats(2);
    for (size_t i = 0; i < directions.size(); ++i) {
      directions[i] += momentum * (directions[i] - static_cast<double>(old_buffer[i]));
    }
    return directions;
  }

  ReplayFitter& fitter_;
  const bool is_nesterov_;
  std::vector<double> momenta_ = {0};
};

}  // namespace

void fit_sgd_parameter(ReplayRule rule, const StepFacts& facts, ReplayFitter& fitter) {
  if (!may_be(OptimizerKind::kSgd, facts)) return;
  DescentFit fit(rule, facts, fitter);
  if (facts.lr) fit.by_rate(*facts.lr);
  const bool rounds = fitter.sample().dtype() == ReplayDtype::kBf16;
  if (facts.lr && rounds) fit.by_rate(bf16_number(*facts.lr));
  if (fitter.exact_share() < kGoodEnough) fit.by_effect();
}

void fit_lion_parameter(const StepFacts& facts, ReplayFitter& fitter) {
  if (!facts.lr || !may_be(OptimizerKind::kLion, facts)) return;
  const double decay = 1 - *facts.lr * facts.weight_decay.value_or(0);
  for (const double beta1 : known_or(facts.beta1, {0.9, 0.95})) {
    for (const double beta2 : known_or(facts.beta2, {0.99, 0.98})) {
      for (const uint8_t variant : {uint8_t{0}, uint8_t{1}}) {
        fitter.attempt(variant, {scalar_bits(*facts.lr), scalar_bits(1 - beta1),
                                 scalar_bits(1 - beta2), scalar_bits(decay)});
      }
    }
  }
}

}  // namespace cairn
