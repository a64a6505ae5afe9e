#include "base/replay/clip.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace cairn {
namespace {

constexpr size_t kMostGradients = 400, kFewestGradients = 16, kSeeds = 3, kMostClips = 12;
constexpr double kAverage = 1.0 / (1 << 20);  // as far from 1 two weights of an average sum up
constexpr double kHalfUlp = 1.0 / (1 << 24);  // of an F32, relative, at most

/// A gradient's significand in [1, 2), and how far off it may be.
struct Gradient {
  double significand = 1;
  double error = 0;  ///< relative
};

/// Those that are known precisely, the most precise ones first.
std::vector<Gradient> precise_gradients(const std::vector<SeenGradient>& seen) {
  std::vector<Gradient> gradients;
  for (const SeenGradient& each : seen) {
    const double gradient = std::abs(each.value);
    if (!std::isfinite(gradient) || gradient < 1e-30) continue;
    if (!(each.error <= gradient / (1 << 14))) continue;
    int exponent = 0;
    gradients.push_back({2 * std::frexp(gradient, &exponent), each.error / gradient});
  }
  std::sort(gradients.begin(), gradients.end(),
            [](const Gradient& a, const Gradient& b) { return a.error < b.error; });
  if (gradients.size() > kMostGradients) gradients.resize(kMostGradients);
  return gradients;
}

/// The 8 bits of a BF16 significand, from 128 to 256, nearest to the gradient divided by the
/// factor.
struct Snapped {
  double number = 0;
  double whole = 0;
};
Snapped snap(double significand, double clip) {
  double number = significand / clip * 128;
  if (number < 128) number *= 2;
  if (number >= 256) number /= 2;
  return {number, std::round(number)};
}

/// How many gradients the factor makes BF16, less how many would be so by chance.
struct Support {
  double passes = 0, expected = 0;
};
Support support_of(const std::vector<Gradient>& gradients, double clip, double clip_error) {
  Support support;
  for (const Gradient& gradient : gradients) {
    const Snapped snapped = snap(gradient.significand, clip);
    const double tolerance = snapped.number * (gradient.error + clip_error) + 1e-9;
    support.passes += std::abs(snapped.number - snapped.whole) <= tolerance ? 1 : 0;
    support.expected += std::min(1.0, 2 * tolerance);
  }
  return support;
}

struct Range {
  double low = 0, high = 0;
};

/// The factors that all gradients allow; a gradient that allows none of them does not count.
Range narrow(const std::vector<Gradient>& gradients, double clip, double clip_error) {
  Range range{clip * (1 - clip_error), clip * (1 + clip_error)};
  for (const Gradient& gradient : gradients) {
    const double middle = (range.low + range.high) / 2;
    const Snapped snapped = snap(gradient.significand, middle);
    const double allowed = middle * snapped.number / snapped.whole;
    const Range both{std::max(range.low, allowed * (1 - gradient.error)),
                     std::min(range.high, allowed * (1 + gradient.error))};
    if (both.low <= both.high) range = both;
  }
  return range;
}

std::vector<float> floats_in(Range range) {
  const float middle = static_cast<float>((range.low + range.high) / 2);
  std::vector<float> floats{middle};
  float down = middle, up = middle;
  while (floats.size() < kMostClips) {
    down = std::nextafter(down, 0.0f);
    up = std::nextafter(up, 4.0f);
    floats.push_back(down);
    floats.push_back(up);
    if (down < range.low && up > range.high) break;
  }
  return floats;
}

}  // namespace

std::vector<SeenGradient> seen_gradients(const GradientSource& source) {
  const bool is_average = std::abs(source.kept + source.taken - 1) < kAverage;
  std::vector<SeenGradient> seen;
  seen.reserve(source.items.size());
  for (size_t i = 0; i < source.items.size(); ++i) {
    const double item = source.items[i], old = source.old[i];
    const double whole =
        is_average ? old + (item - old) / source.taken : (item - source.kept * old) / source.taken;
    const double decay = source.decayed.empty() ? 0 : source.decay * source.decayed[i];
    const double gradient = whole - decay, size = std::abs(whole);
    // Of the item itself; of the difference or the product that went into it; of gradient times
    // factor; of the decay.
    const double inside =
        is_average ? size + std::abs(old) : std::abs(source.kept * old / source.taken);
    const double outside = std::abs(item / source.taken) + std::abs(gradient);
    const double decayed = decay == 0 ? 0 : size + std::abs(decay);
    seen.push_back({gradient, kHalfUlp * (outside + inside + decayed)});
  }
  return seen;
}

std::vector<float> likely_clips(const std::vector<SeenGradient>& seen) {
  const std::vector<Gradient> gradients = precise_gradients(seen);
  if (gradients.size() < kFewestGradients) return {};
  const auto count = static_cast<double>(gradients.size());
  double best_clip = 0, best_error = 0, best_score = 0;
  for (size_t seed = 0; seed < kSeeds; ++seed) {
    for (int whole = 128; whole < 256; ++whole) {
      double clip = gradients[seed].significand * 128 / whole;
      if (clip > 1) clip /= 2;
      const double error = gradients[seed].error;
      const Support support = support_of(gradients, clip, error);
      if (support.passes < 0.85 * count || support.expected > 0.5 * count) continue;
      if (support.passes - support.expected <= best_score) continue;
      best_score = support.passes - support.expected;
      best_clip = clip;
      best_error = error;
    }
  }
  if (best_score == 0) return {};
  return floats_in(narrow(gradients, best_clip, best_error));
}

}  // namespace cairn
