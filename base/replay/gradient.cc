#include "base/replay/gradient.h"

#include <algorithm>
#include <array>

#include "base/encodings/block.h"
#include "base/replay/gradient_guess.h"

namespace cairn {
namespace {

constexpr int kFaintBits = 19;  // what a gradient adds below the item before: its last bits

class GradientFinder {
 public:
  GradientFinder(const Predictor& predictor, const ReplayParameters& parameters)
      : predictor_(predictor),
        guesser_(gradient_guesser(parameters)),
        faint_(faint_gradient(parameters)),
        width_(item_bytes(parameters.result)),
        base_width_(item_bytes(parameters.bases[0])) {}

  /// REQUIRES: inputs are the items and the bases, one or two.
  void find(const std::array<ByteSpan, 3>& inputs, MutableBytes gradient) {
    items_ = inputs[0];
    bases_ = {inputs[1], inputs[2]};
    count_ = gradient.size() / 2;
    guesser_.predict(std::span(inputs).first(guesser_.inputs()), 0, gradient);
    predict(gradient);
    if (collect_wrong() != 0) {
      std::copy(gradient.begin(), gradient.end(), guess_.begin());
      for (unsigned attempt = 0; attempt < kGradientNeighbours; ++attempt) {
        if (!try_neighbours(gradient_neighbour(attempt), gradient)) break;
      }
    }
    if (has_faint(gradient)) try_zeros(gradient);
  }

 private:
  MutableBytes predicted() { return MutableBytes(predicted_).first(count_ * width_); }
  void predict(ByteSpan gradient) {
    std::array<ByteSpan, 3> inputs = {bases_[0], bases_[1]};
    inputs[predictor_.program().bases] = gradient;
    predictor_.predict(std::span(inputs).first(predictor_.inputs()), 0, predicted());
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
  bool has_faint(ByteSpan gradient) const {
    return base_width_ == 4 ? count_faint<uint32_t>(gradient) > 0
                            : count_faint<uint16_t>(gradient) > 0;
  }
  template <class U>
  unsigned count_faint(ByteSpan gradient) const {
    constexpr unsigned kExponent = 8 * sizeof(U) - 9;  // where it begins, of F32 and BF16
    unsigned count = 0;
    for (size_t i = 0; i < count_; ++i) {
      const int size = load_le<uint16_t>(gradient, 2 * i) >> 7 & 0xff;
      const int past = static_cast<int>(load_le<U>(bases_[0], sizeof(U) * i) >> kExponent & 0xff);
      count += static_cast<unsigned>(size != 0) & static_cast<unsigned>(size < past - faint_);
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
  const int faint_;
  const size_t width_, base_width_;
  size_t count_ = 0, wrong_count_ = 0;
  ByteSpan items_;
  std::array<ByteSpan, 2> bases_;
  std::array<uint8_t, 4 * kGradientRun> predicted_;
  std::array<uint8_t, 2 * kGradientRun> guess_;
  std::array<uint16_t, kGradientRun + 1> wrong_;
};

}  // namespace

int faint_gradient(const ReplayParameters& parameters) {
  return kFaintBits + gradient_exponent(parameters);
}

Bytes find_gradient(const Predictor& predictor, const ReplayParameters& parameters, ByteSpan items,
                    std::span<const ByteSpan> bases) {
  const size_t width = item_bytes(parameters.result), count = items.size() / width;
  Bytes gradient(2 * count);
  GradientFinder finder(predictor, parameters);
  for (size_t first = 0; first < count; first += kGradientRun) {
    const size_t items_here = std::min(kGradientRun, count - first);
    std::array<ByteSpan, 3> inputs = {items.subspan(first * width, items_here * width)};
    for (size_t i = 0; i < bases.size(); ++i) {
      const size_t base_width = item_bytes(parameters.bases[i]);
      inputs[1 + i] = bases[i].subspan(first * base_width, items_here * base_width);
    }
    finder.find(inputs, MutableBytes(gradient).subspan(2 * first, 2 * items_here));
  }
  return gradient;
}

}  // namespace cairn
