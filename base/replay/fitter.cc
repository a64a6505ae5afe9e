#include "base/replay/fitter.h"

#include <bit>
#include <utility>

#include "base/replay/gradient.h"
#include "base/replay/predictor.h"

namespace cairn {
namespace {

// What a BF16 gradient costs, about: it stands in the stored bytes too.
constexpr uint64_t kGradientBits = 11;

}  // namespace

ReplayFitter::ReplayFitter(ReplayRule rule, const ReplaySample& sample, size_t itself)
    : sample_(sample) {
  best_.rule = rule;
  best_.result = sample.dtype();
  for (size_t i = 0; i < sample.bases().size(); ++i) best_.bases[i] = sample.base_dtype(i);
  // Items of another dtype than their past have none that could be taken as it is.
  past_bits_ = sample.base_dtype(itself) == sample.dtype()
                   ? replay_cost(sample.dtype(), sample.items(), sample.bases()[itself]).bits
                   : sample.size() * 8 * item_bytes(sample.dtype());
}

ReplayCost ReplayFitter::cost_of(const ReplayParameters& parameters) const {
  const Predictor predictor(parameters);
  std::vector<ByteSpan> inputs(sample_.bases().begin(), sample_.bases().end());
  Bytes gradient, predicted(sample_.items().size());
  if (predictor.program().has_gradient) {
    gradient = find_gradient(predictor, parameters, sample_.items(), sample_.bases());
    inputs.push_back(gradient);
  }
  predictor.predict(inputs, 0, predicted);
  ReplayCost cost = replay_cost(sample_.dtype(), sample_.items(), predicted);
  for (size_t at = 0; at < gradient.size(); at += 2) {
    if (load_le<uint16_t>(gradient, at) != 0) cost.bits += kGradientBits;
  }
  return cost;
}

bool ReplayFitter::attempt(uint8_t variant, std::vector<uint32_t> scalars) {
  ReplayParameters parameters = best_;
  parameters.variant = variant;
  parameters.scalars = std::move(scalars);
  const ReplayCost cost = cost_of(parameters);
  if (found_ && cost.bits >= cost_.bits) return false;
  found_ = true;
  best_ = std::move(parameters);
  cost_ = cost;
  return true;
}

void ReplayFitter::polish(size_t scalar) {
  for (uint32_t step = 64; step > 0; step /= 4) {
    for (const uint32_t move : {step, ~step + 1}) {
      bool helps = true;
      for (int tries = 0; helps && tries < 8; ++tries) {
        std::vector<uint32_t> scalars = best_.scalars;
        scalars[scalar] += move;
        helps = attempt(best_.variant, std::move(scalars));
      }
    }
  }
}

double ReplayFitter::exact_share() const {
  return found_ ? static_cast<double>(cost_.exact) / static_cast<double>(sample_.size()) : 0;
}

std::optional<ReplayParameters> ReplayFitter::result() const {
  if (!found_ || cost_.bits > past_bits_ - past_bits_ / 8) return std::nullopt;
  if (past_bits_ == 0) return std::nullopt;
  return best_;
}

uint32_t scalar_bits(double value) { return std::bit_cast<uint32_t>(static_cast<float>(value)); }

void append_wide(std::vector<uint32_t>& scalars, double value) {
  const auto bits = std::bit_cast<uint64_t>(value);
  scalars.push_back(static_cast<uint32_t>(bits));
  scalars.push_back(static_cast<uint32_t>(bits >> 32));
}

}  // namespace cairn
