#include "base/replay/gradient.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "base/encodings/block.h"

namespace cairn {
namespace {

constexpr size_t kRun = 4096;   // items at a time
constexpr int kFaintBits = 15;  // a gradient's exponent below its moment's
constexpr std::array<int, 4> kNeighbours = {1, -1, 2, -2};

/// The gradient as the moments give it back, divided by the clip factor.
Predictor guesser(const ReplayParameters& parameters) {
  ReplayProgram program{.bases = 2, .scalars = 2};
  program.add(ReplayOp::kSub, kResult, 0, 1);
  program.add(ReplayOp::kDiv, kResult, kResult, kScalars);
  program.add(ReplayOp::kAdd, kResult, 1, kResult);
  program.add(ReplayOp::kMul, kResult, kResult, kScalars + 1);
  ReplayParameters guess = parameters;
  guess.result = ReplayDtype::kBf16;
  guess.bases[0] = parameters.result;
  guess.bases[1] = parameters.bases[0];
  const float inverse = 1.0f / std::bit_cast<float>(parameters.scalars[2]);
  guess.scalars = {parameters.scalars[0], std::bit_cast<uint32_t>(inverse)};
  return Predictor(guess, program);
}

class GradientFinder {
 public:
  GradientFinder(const Predictor& predictor, const ReplayParameters& parameters)
      : predictor_(predictor),
        guesser_(guesser(parameters)),
        clip_exponent_(std::ilogb(std::bit_cast<float>(parameters.scalars[2]))),
        width_(item_bytes(parameters.result)),
        base_width_(item_bytes(parameters.bases[0])) {}

  void find(ByteSpan items, ByteSpan old, MutableBytes gradient) {
    items_ = items;
    old_ = old;
    count_ = gradient.size() / 2;
    const std::array<ByteSpan, 2> moments = {items, old};
    guesser_.predict(moments, 0, gradient);
    predict(gradient);
    if (collect_wrong() != 0) {
      std::copy(gradient.begin(), gradient.end(), guess_.begin());
      for (const int step : kNeighbours) {
        if (!try_neighbours(step, gradient)) break;
      }
    }
    if (has_faint(gradient)) try_zeros(gradient);
  }

 private:
  MutableBytes predicted() { return MutableBytes(predicted_).first(count_ * width_); }
  void predict(ByteSpan gradient) {
    const std::array<ByteSpan, 2> inputs = {old_, gradient};
    predictor_.predict(inputs, 0, predicted());
  }
  bool is_right(size_t i) const {
    return std::equal(&predicted_[i * width_], &predicted_[i * width_] + width_,
                      &items_[i * width_]);
  }
  size_t collect_wrong() {
    wrong_count_ = 0;
    const MutableBytes all = predicted();
    if (std::equal(all.begin(), all.end(), items_.begin())) return 0;
    for (size_t i = 0; i < count_; ++i) {
      wrong_[wrong_count_] = static_cast<uint16_t>(i);
      wrong_count_ += is_right(i) ? 0 : 1;
    }
    return wrong_count_;
  }
  /// Keeps the neighbour where it gives the item. False when nothing is wrong any more.
  bool try_neighbours(int step, MutableBytes gradient) {
    for (size_t i = 0; i < wrong_count_; ++i) {
      const auto bits = load_le<uint16_t>(guess_, 2 * wrong_[i]);
      store_le(gradient, 2 * wrong_[i], static_cast<uint16_t>(bits + step));
    }
    predict(gradient);
    size_t left = 0;
    for (size_t i = 0; i < wrong_count_; ++i) {
      if (is_right(wrong_[i])) continue;
      store_le(gradient, 2 * wrong_[i], load_le<uint16_t>(guess_, 2 * wrong_[i]));
      wrong_[left++] = wrong_[i];
    }
    wrong_count_ = left;
    return left > 0;
  }
  /// Whether a gradient is so small beside its moment that it may be what rounding left of none.
  bool has_faint(ByteSpan gradient) const {
    return base_width_ == 4 ? count_faint<uint32_t>(gradient) > 0
                            : count_faint<uint16_t>(gradient) > 0;
  }
  template <class U>
  unsigned count_faint(ByteSpan gradient) const {
    constexpr unsigned kExponent = 8 * sizeof(U) - 9;  // where it begins, of F32 and BF16
    const int faint = kFaintBits + std::clamp(clip_exponent_, -256, 256);
    unsigned count = 0;
    for (size_t i = 0; i < count_; ++i) {
      const int size = load_le<uint16_t>(gradient, 2 * i) >> 7 & 0xff;
      const int moment = static_cast<int>(load_le<U>(old_, sizeof(U) * i) >> kExponent & 0xff);
      count += static_cast<unsigned>(size != 0) & static_cast<unsigned>(size < moment - faint);
    }
    return count;
  }
  void try_zeros(MutableBytes gradient) {
    std::fill_n(guess_.begin(), 2 * count_, uint8_t{0});
    predict(ByteSpan(guess_).first(2 * count_));
    for (size_t i = 0; i < count_; ++i) {
      if (is_right(i)) store_le(gradient, 2 * i, uint16_t{0});
    }
  }

  const Predictor& predictor_;
  const Predictor guesser_;
  const int clip_exponent_;
  const size_t width_, base_width_;
  size_t count_ = 0, wrong_count_ = 0;
  ByteSpan items_, old_;
  std::array<uint8_t, 4 * kRun> predicted_;
  std::array<uint8_t, 2 * kRun> guess_;
  std::array<uint16_t, kRun + 1> wrong_;
};

}  // namespace

Bytes find_gradient(const Predictor& predictor, const ReplayParameters& parameters, ByteSpan items,
                    std::span<const ByteSpan> bases) {
  const size_t width = item_bytes(parameters.result), count = items.size() / width;
  const size_t base_width = item_bytes(parameters.bases[0]);
  Bytes gradient(2 * count);
  GradientFinder finder(predictor, parameters);
  for (size_t first = 0; first < count; first += kRun) {
    const size_t items_here = std::min(kRun, count - first);
    finder.find(items.subspan(first * width, items_here * width),
                bases[0].subspan(first * base_width, items_here * base_width),
                MutableBytes(gradient).subspan(2 * first, 2 * items_here));
  }
  return gradient;
}

}  // namespace cairn
