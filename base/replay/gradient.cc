#include "base/replay/gradient.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/encodings/block.h"
#include "base/encodings/cast.h"

namespace cairn {
namespace {

constexpr size_t kRun = 4096;  // items at a time
constexpr std::array<int, 4> kNeighbours = {1, -1, 2, -2};

/// `items` as F32, whatever they are.
void to_floats(ReplayDtype dtype, ByteSpan items, std::array<float, kRun>& floats) {
  const MutableBytes to{static_cast<uint8_t*>(static_cast<void*>(floats.data())),
                        items.size() / item_bytes(dtype) * sizeof(float)};
  if (dtype == ReplayDtype::kF32) std::copy(items.begin(), items.end(), to.begin());
  if (dtype == ReplayDtype::kBf16) cast_items(Cast::kBf16ToF32, items, to);
  if (dtype == ReplayDtype::kF16) cast_items(Cast::kF16ToF32, items, to);
}

class GradientFinder {
 public:
  GradientFinder(const Predictor& predictor, const ReplayParameters& parameters)
      : predictor_(predictor),
        parameters_(parameters),
        weight_(std::bit_cast<float>(parameters.scalars[0])),
        inverse_(1.0f / std::bit_cast<float>(parameters.scalars[2])),
        width_(item_bytes(parameters.result)) {}

  void find(ByteSpan items, std::span<const ByteSpan> bases, size_t first, MutableBytes gradient) {
    first_ = first;
    count_ = gradient.size() / 2;
    items_ = items.subspan(first * width_, count_ * width_);
    bases_ = bases;
    std::fill(gradient.begin(), gradient.end(), uint8_t{0});
    predict(gradient);
    if (collect_wrong(count_) == 0) return;
    guess(gradient);
    for (size_t i = 0; i < wrong_count_; ++i) {
      store_le(gradient, 2 * wrong_[i], load_le<uint16_t>(guess_, 2 * wrong_[i]));
    }
    predict(gradient);
    for (const int step : kNeighbours) {
      if (collect_wrong(count_) == 0) return;
      try_neighbour(step, gradient);
    }
  }

 private:
  void predict(ByteSpan gradient) {
    // The rule's bases begin with the moment, its only one: both spans begin at the run.
    const ByteSpan base = bases_[0];
    const size_t base_width = item_bytes(parameters_.bases[0]);
    const std::array<ByteSpan, 2> inputs = {
        base.subspan(first_ * base_width, count_ * base_width), gradient};
    predictor_.predict(inputs, 0, MutableBytes(predicted_).first(count_ * width_));
  }
  bool is_right(size_t i) const {
    return std::equal(&predicted_[i * width_], &predicted_[i * width_] + width_,
                      &items_[i * width_]);
  }
  size_t collect_wrong(size_t count) {
    wrong_count_ = 0;
    for (size_t i = 0; i < count; ++i) {
      wrong_[wrong_count_] = static_cast<uint16_t>(i);
      wrong_count_ += is_right(i) ? 0 : 1;
    }
    return wrong_count_;
  }
  /// The gradient as the moments give it back, divided by the clip factor, in BF16.
  void guess(ByteSpan) {
    to_floats(parameters_.result, items_, moment_);
    to_floats(parameters_.bases[0],
              bases_[0].subspan(first_ * item_bytes(parameters_.bases[0]),
                                count_ * item_bytes(parameters_.bases[0])),
              old_);
    for (size_t i = 0; i < count_; ++i) {
      moment_[i] = (old_[i] + (moment_[i] - old_[i]) / weight_) * inverse_;
    }
    cast_items(Cast::kF32ToBf16, as_bytes(moment_.data(), count_ * sizeof(float)),
               MutableBytes(guess_).first(2 * count_));
  }
  /// Keeps the neighbour where it gives the item.
  void try_neighbour(int step, MutableBytes gradient) {
    for (size_t i = 0; i < wrong_count_; ++i) {
      const auto bits = load_le<uint16_t>(guess_, 2 * wrong_[i]);
      store_le(gradient, 2 * wrong_[i], static_cast<uint16_t>(bits + step));
    }
    predict(gradient);
    for (size_t i = 0; i < wrong_count_; ++i) {
      if (is_right(wrong_[i])) continue;
      store_le(gradient, 2 * wrong_[i], load_le<uint16_t>(guess_, 2 * wrong_[i]));
    }
  }

  const Predictor& predictor_;
  const ReplayParameters& parameters_;
  const float weight_, inverse_;
  const size_t width_;
  size_t first_ = 0, count_ = 0, wrong_count_ = 0;
  ByteSpan items_;
  std::span<const ByteSpan> bases_;
  std::array<float, kRun> moment_, old_;
  std::array<uint8_t, 4 * kRun> predicted_;
  std::array<uint8_t, 2 * kRun> guess_;
  std::array<uint16_t, kRun + 1> wrong_;
};

}  // namespace

Bytes find_gradient(const Predictor& predictor, const ReplayParameters& parameters, ByteSpan items,
                    std::span<const ByteSpan> bases) {
  const size_t count = items.size() / item_bytes(parameters.result);
  Bytes gradient(2 * count);
  GradientFinder finder(predictor, parameters);
  for (size_t first = 0; first < count; first += kRun) {
    finder.find(items, bases, first,
                MutableBytes(gradient).subspan(2 * first, 2 * std::min(kRun, count - first)));
  }
  return gradient;
}

}  // namespace cairn
