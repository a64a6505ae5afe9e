// A training run as a store sees it: masters, moments and rounded weights, moved on step by step by
// AdamW with the roundings of torch's fused kernel.
#pragma once

#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "lib/cairn.hpp"
#include "lib/convert.h"

namespace cairn {

struct HeldTensor {
  Dtype dtype = Dtype::kU8;
  Shape shape;
  Role role = Role::kNone;
  std::string parameter;
  Bytes bytes;

  bool operator==(const HeldTensor&) const = default;
};

/// By name.
using State = std::map<std::string, HeldTensor>;

class Trainer {
 public:
  explicit Trainer(unsigned seed) : random_(seed) {
    facts_.step = 0;
    facts_.lr = 1e-3;
    facts_.beta1 = 0.9;
    facts_.beta2 = 0.999;
    facts_.eps = 1e-8;
    facts_.weight_decay = 0.1;
  }

  /// A parameter with master, moments and weight.
  void add(const std::string& parameter, const Shape& shape, Dtype weight = Dtype::kBF16) {
    const uint64_t items = whole_box(shape).elements();
    Bytes master;
    for (uint64_t i = 0; i < items; ++i) append_le(master, normal_(random_) * 0.02f);
    const Bytes zeros(4 * items);
    state_[parameter + ".first"] = {Dtype::kF32, shape, Role::kExpAvg, parameter, zeros};
    state_[parameter + ".second"] = {Dtype::kF32, shape, Role::kExpAvgSq, parameter, zeros};
    state_[parameter + ".weight"] = {weight, shape, Role::kWeight, parameter, {}};
    state_[parameter + ".master"] = {Dtype::kF32, shape, Role::kMaster, parameter, master};
    round(parameter);
  }

  /// One step of all parameters.
  void step() {
    *facts_.step += 1;
    clip_ = std::uniform_real_distribution<float>(0.01f, 1)(random_);
    for (const auto& [name, tensor] : State(state_)) {
      if (tensor.role == Role::kMaster) step_parameter(tensor.parameter);
    }
  }

  State& state() { return state_; }
  StepFacts& facts_of_all() { return facts_; }
  StepFacts facts() const {
    StepFacts facts = facts_;
    facts.clip = clip_;
    return facts;
  }

  /// Puts what floats can hold beside numbers into every tensor: NaNs of any payload, infinities,
  /// negative zeros, subnormals.
  void poison() {
    for (auto& [name, tensor] : state_) {
      const size_t width = tensor.dtype == Dtype::kF32 ? 4 : 2;
      for (size_t i = 0; i + width <= tensor.bytes.size(); i += width * (1 + random_() % 40)) {
        const uint32_t odd[] = {
            0x7fc12345, 0xff800001, 0x7f800000, 0xff800000,
            0x80000000, 0x00000001, 0x807fffff, static_cast<uint32_t>(random_())};
        const uint32_t bits = odd[random_() % std::size(odd)];
        std::memcpy(&tensor.bytes[i], reinterpret_cast<const uint8_t*>(&bits) + 4 - width, width);
      }
    }
  }

 private:
  static float item(const Bytes& bytes, size_t i) {
    return std::bit_cast<float>(load_le<uint32_t>(bytes, 4 * i));
  }
  static void set(Bytes& bytes, size_t i, float value) { std::memcpy(&bytes[4 * i], &value, 4); }

  void round(const std::string& parameter) {
    HeldTensor& weight = state_[parameter + ".weight"];
    const Bytes& master = state_[parameter + ".master"].bytes;
    weight.bytes.resize(master.size() / 2);
    convert(Dtype::kF32, master.data(), weight.dtype, weight.bytes.data(), master.size() / 4);
  }

  void step_parameter(const std::string& parameter) {
    Bytes& first = state_[parameter + ".first"].bytes;
    Bytes& second = state_[parameter + ".second"].bytes;
    Bytes& master = state_[parameter + ".master"].bytes;
    const double bias1 = 1 - std::pow(*facts_.beta1, *facts_.step);
    const double bias2 = 1 - std::pow(*facts_.beta2, *facts_.step);
    const auto size = static_cast<float>(*facts_.lr / bias1);
    const auto root = static_cast<float>(std::sqrt(bias2));
    const auto q1 = static_cast<float>(1 - *facts_.beta1);
    const auto q2 = static_cast<float>(1 - *facts_.beta2);
    const auto decay = static_cast<float>(1 - *facts_.lr * *facts_.weight_decay);
    for (size_t i = 0; i < master.size() / 4; ++i) {
      const float gradient = f32_from_bf16(bf16_from_f32(normal_(random_) * 1e-3f)) * clip_;
      const float moment = std::fma(q1, gradient - item(first, i), item(first, i));
      // Never fused with what follows.
      volatile float kept = static_cast<float>(*facts_.beta2) * item(second, i);
      const float square = std::fma(q2 * gradient, gradient, kept);
      volatile float decayed = item(master, i) * decay;
      volatile float moved = size * moment;
      volatile float height = std::sqrt(square) / root + static_cast<float>(*facts_.eps);
      set(first, i, moment);
      set(second, i, square);
      set(master, i, decayed - moved / height);
    }
    round(parameter);
  }

  std::mt19937 random_;
  std::normal_distribution<float> normal_{0, 1};
  StepFacts facts_;
  float clip_ = 1;
  State state_;
};

}  // namespace cairn
