// One step of AdamW as a trainer would make it, written down apart from base/replay: with the
// roundings of torch's fused kernel, on state that looks like a model's.
#pragma once

#include <cmath>
#include <random>
#include <vector>

#include "base/bytes.h"
#include "base/replay/replay.h"

namespace cairn {

inline float round_to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}

struct AdamStep {
  Bytes w, m, v, old_w, old_m, old_v;
  StepFacts facts;
  float clip = 0;

  /// With BF16 gradients, times a clip factor, unless `f32_gradients`.
  AdamStep(size_t items, unsigned seed, bool f32_gradients = false, double step = 50,
           double weight_decay = 0.1)
      : random_(seed) {
    facts.step = step;
    facts.lr = 1e-3;
    facts.beta1 = 0.9;
    facts.beta2 = 0.999;
    facts.eps = 1e-8;
    facts.weight_decay = weight_decay;
    clip = std::uniform_real_distribution<float>(0.01f, 1)(random_);
    for (size_t i = 0; i < items; ++i) add_item(f32_gradients);
  }

 private:
  static void append(Bytes& bytes, float value) { append_le(bytes, value); }

  void add_item(bool f32_gradient) {
    const double bias1 = 1 - std::pow(*facts.beta1, *facts.step);
    const double bias2 = 1 - std::pow(*facts.beta2, *facts.step);
    const auto size = static_cast<float>(*facts.lr / bias1);
    const auto root = static_cast<float>(std::sqrt(bias2));
    const auto q1 = static_cast<float>(1 - *facts.beta1), q2 = static_cast<float>(1 - *facts.beta2);
    const auto decay = static_cast<float>(1 - *facts.lr * *facts.weight_decay);
    const bool first = *facts.step == 1;
    const float before = normal_(random_) * 0.02f;
    const float moment = first ? 0 : normal_(random_) * 1e-4f;
    const float square = first ? 0 : std::abs(normal_(random_)) * 1e-8f;
    const float raw = normal_(random_) * 1e-3f;
    const float gradient = f32_gradient ? raw : round_to_bf16(raw) * clip;
    const float now = std::fma(q1, gradient - moment, moment);
    volatile float kept = static_cast<float>(*facts.beta2) * square;  // never fused with the sum
    const float squared = std::fma(q2 * gradient, gradient, kept);
    volatile float decayed = before * decay;
    volatile float moved = size * now;
    const float after =
        decayed - moved / (std::sqrt(squared) / root + static_cast<float>(*facts.eps));
    append(old_w, before), append(w, after);
    append(old_m, moment), append(m, now);
    append(old_v, square), append(v, squared);
  }

  std::mt19937 random_;
  std::normal_distribution<float> normal_{0, 1};
};

}  // namespace cairn
