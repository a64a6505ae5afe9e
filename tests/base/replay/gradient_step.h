// Steps of optimizers of which only a BF16 gradient or update tells what they did, written down
// apart from base/replay.
#pragma once

#include <cmath>
#include <random>

#include "base/bytes.h"
#include "base/replay/replay.h"
#include "tests/base/replay/adam_step.h"

namespace cairn {

struct GradientStep {
  Bytes w, m, old_w, old_m;
  StepFacts facts;
  float clip = 1;

  /// SGD, of which `buffer` is what torch's has; Adam's first moment; Muon, whose buffer is of no
  /// use: `m` stays empty, as it does of SGD without momentum. Weight decay is a part of the
  /// gradient but of Muon. With BF16 gradients times a clip factor, unless `f32_gradients`.
  GradientStep(size_t items, unsigned seed, OptimizerKind kind, double weight_decay,
               std::optional<double> momentum = {}, bool f32_gradients = false)
      : random_(seed), f32_gradients_(f32_gradients) {
    facts.optimizer = kind;
    facts.lr = kind == OptimizerKind::kMuon ? 0.02 : 0.05;
    facts.weight_decay = weight_decay;
    facts.momentum = momentum;
    if (kind == OptimizerKind::kAdam) facts.beta1 = 0.9;
    clip = std::uniform_real_distribution<float>(0.01f, 1)(random_);
    for (size_t i = 0; i < items; ++i) add_item();
  }

 private:
  float gradient(float size) {
    const float raw = normal_(random_) * size;
    return f32_gradients_ ? raw : round_to_bf16(raw) * clip;
  }

  void add_item() {
    const auto lr = static_cast<float>(*facts.lr), decay = static_cast<float>(*facts.weight_decay);
    const float before = normal_(random_) * 0.02f;
    append_le(old_w, before);
    if (facts.optimizer == OptimizerKind::kMuon) {
      volatile float decayed = before * static_cast<float>(1 - *facts.lr * *facts.weight_decay);
      // 1.7: what the shape does to the step.
      append_le(w, std::fma(-lr * 1.7f, round_to_bf16(normal_(random_) * 0.05f), decayed));
      return;
    }
    const float whole = std::fma(decay, before, gradient(1e-3f));
    if (facts.optimizer == OptimizerKind::kSgd && !facts.momentum) {
      append_le(w, std::fma(-lr, whole, before));
      return;
    }
    const float moment = normal_(random_) * 1e-3f;
    append_le(old_m, moment);
    if (facts.optimizer == OptimizerKind::kSgd) {
      volatile float kept = static_cast<float>(*facts.momentum) * moment;
      append_le(m, kept + whole);
    } else {
      append_le(m, std::fma(static_cast<float>(1 - 0.9), whole - moment, moment));
    }
  }

  std::mt19937 random_;
  bool f32_gradients_;
  std::normal_distribution<float> normal_{0, 1};
};

}  // namespace cairn
