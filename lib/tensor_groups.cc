#include "lib/tensor_groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>
#include <numeric>
#include <string_view>
#include <tuple>
#include <unordered_map>

namespace cairn {
namespace {

constexpr size_t kDepthMax = 12;
constexpr uint64_t kAnyNumber = std::numeric_limits<uint64_t>::max();
/// How many neighbouring numbers become one, the finest first.
constexpr std::array<uint64_t, 9> kSpans = {1, 2, 4, 8, 16, 32, 64, 128, kAnyNumber};

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

using Parts = std::vector<std::string_view>;

/// A name cut at dots and slashes; what is deeper than kDepthMax is dropped.
Parts split(std::string_view name) {
  Parts parts;
  while (parts.size() < kDepthMax) {
    const size_t end = name.find_first_of("./");
    parts.push_back(name.substr(0, end));
    if (end == std::string_view::npos) break;
    name.remove_prefix(end + 1);
  }
  return parts;
}

/// `17` with a span of 8 is `16-23`.
std::string range_of(std::string_view part, uint64_t span) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
  const bool is_number = error == std::errc() && end == part.data() + part.size() &&
                         number < kAnyNumber - kSpans[kSpans.size() - 2];
  if (span == 1 || !is_number) return std::string(part);
  if (span == kAnyNumber) return "*";
  return fmt::format("{}-{}", number / span * span, number / span * span + span - 1);
}

std::string label_of(const Parts& parts, size_t depth, uint64_t span) {
  if (depth == 0) return "*";
  std::string label;
  for (size_t i = 0; i < std::min(depth, parts.size()); ++i) {
    if (i > 0) label += '.';
    label += range_of(parts[i], span);
  }
  return label;
}

/// Groups by class and label; gives up (empty) when there are more than `groups_max`.
TensorGroups group_by(const std::vector<NamedTensor>& tensors, const std::vector<Parts>& parts,
                      size_t depth, uint64_t span, size_t groups_max) {
  TensorGroups result;
  std::map<std::pair<std::string_view, std::string>, size_t> numbers;
  for (size_t i = 0; i < tensors.size(); ++i) {
    std::string label = label_of(parts[i], depth, span);
    const auto [at, is_new] =
        numbers.try_emplace({tensors[i].tensor_class, std::move(label)}, result.groups.size());
    if (is_new) {
      if (result.groups.size() == groups_max) return {};
      result.groups.push_back({at->first.second, tensors[i].tensor_class, 0});
    }
    ++result.groups[at->second].tensors;
    result.group_of.push_back(at->second);
  }
  return result;
}

TensorGroups each_alone(const std::vector<NamedTensor>& tensors) {
  TensorGroups result;
  for (const NamedTensor& tensor : tensors) {
    result.group_of.push_back(result.groups.size());
    result.groups.push_back({tensor.name, tensor.tensor_class, 1});
  }
  return result;
}

TensorGroups finest(const std::vector<NamedTensor>& tensors, size_t groups_max) {
  std::vector<Parts> parts;
  size_t depth_max = 1;
  for (const NamedTensor& tensor : tensors) {
    parts.push_back(split(tensor.parameter.empty() ? tensor.name : tensor.parameter));
    depth_max = std::max(depth_max, parts.back().size());
  }
  TensorGroups best = group_by(tensors, parts, 0, 1, groups_max);
  for (size_t depth = depth_max; depth > 0; --depth) {
    for (const uint64_t span : kSpans) {
      TensorGroups groups = group_by(tensors, parts, depth, span, groups_max);
      if (groups.groups.size() > best.groups.size()) best = std::move(groups);
    }
  }
  return best;
}

size_t class_rank(std::string_view name) {
  constexpr std::array<std::string_view, 6> kOrder = {"weight",     "master",         "exp_avg",
                                                      "exp_avg_sq", "max_exp_avg_sq", "step"};
  return static_cast<size_t>(std::find(kOrder.begin(), kOrder.end(), name) - kOrder.begin());
}

void sort_groups(TensorGroups& result) {
  std::vector<size_t> order(result.groups.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const TensorGroup &left = result.groups[a], &right = result.groups[b];
    const size_t left_rank = class_rank(left.tensor_class);
    const size_t right_rank = class_rank(right.tensor_class);
    if (left_rank != right_rank) return left_rank < right_rank;
    if (left.tensor_class != right.tensor_class) return left.tensor_class < right.tensor_class;
    return natural_less(left.label, right.label);
  });
  std::vector<TensorGroup> sorted;
  std::vector<size_t> new_number(order.size());
  for (const size_t old_number : order) {
    new_number[old_number] = sorted.size();
    sorted.push_back(std::move(result.groups[old_number]));
  }
  result.groups = std::move(sorted);
  for (size_t& group : result.group_of) group = new_number[group];
}

/// The run of digits at `at`, without leading zeros.
std::string_view digits_at(const std::string& text, size_t at) {
  size_t end = at;
  while (end < text.size() && is_digit(text[end])) ++end;
  while (at + 1 < end && text[at] == '0') ++at;
  return std::string_view(text).substr(at, end - at);
}

}  // namespace

bool natural_less(const std::string& a, const std::string& b) {
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!is_digit(a[i]) || !is_digit(b[j])) {
      if (a[i] != b[j]) return static_cast<uint8_t>(a[i]) < static_cast<uint8_t>(b[j]);
      ++i, ++j;
      continue;
    }
    const std::string_view left = digits_at(a, i), right = digits_at(b, j);
    if (left.size() != right.size()) return left.size() < right.size();
    if (left != right) return left < right;
    i = static_cast<size_t>(left.data() + left.size() - a.data());
    j = static_cast<size_t>(right.data() + right.size() - b.data());
  }
  if (i == a.size() && j == b.size()) return a < b;
  return i == a.size();
}

TensorGroups group_tensors(const std::vector<NamedTensor>& tensors, size_t groups_max) {
  TensorGroups result =
      tensors.size() <= groups_max ? each_alone(tensors) : finest(tensors, groups_max);
  sort_groups(result);
  return result;
}

}  // namespace cairn
