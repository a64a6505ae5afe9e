#include "lib/encoding_ways.h"

#include <algorithm>

#include "base/codec.h"

namespace cairn {

ByteSpan bytes_of(const Cluster& cluster, const WaySource& source) {
  const Member& member = cluster[source.member];
  return source.before ? member.before : member.now;
}

std::optional<ReplayDtype> replay_dtype(Dtype dtype) {
  if (dtype == Dtype::kF32) return ReplayDtype::kF32;
  if (dtype == Dtype::kBF16) return ReplayDtype::kBf16;
  if (dtype == Dtype::kF16) return ReplayDtype::kF16;
  return std::nullopt;
}

namespace {

std::optional<Cast> narrowing(Dtype dtype) {
  if (dtype == Dtype::kBF16) return Cast::kF32ToBf16;
  if (dtype == Dtype::kF16) return Cast::kF32ToF16;
  return std::nullopt;
}

/// Whether a sample from the middle shrinks to half: bytes that do repeat themselves.
bool repeats_itself(ByteSpan bytes) {
  constexpr size_t kSampleBytes = 4 * kKiB;
  if (bytes.size() < 4 * kSampleBytes) return false;
  uint8_t room[kSampleBytes / 2];
  const ByteSpan sample = bytes.subspan(bytes.size() / 2, kSampleBytes);
  return zstd_encode(sample, 1, room).has_value();
}

class Ways {
 public:
  Ways(const Cluster& cluster, size_t member, const WayOptions& options)
      : cluster_(cluster), number_(member), self_(cluster[member]), options_(options) {}

  std::vector<EncodingWay> list() {
    add_derived();
    if (options_.predict && replay_dtype(self_.dtype)) add_replay();
    if (!self_.before.empty()) ways_.push_back({Way::kDelta, {{number_, true}}});
    if (repeats_itself(self_.now)) ways_.push_back({Way::kZstd});
    ways_.push_back({Way::kPlanes});
    return std::move(ways_);
  }

 private:
  bool has(Role role) const {
    return std::any_of(cluster_.begin(), cluster_.end(),
                       [role](const Member& member) { return member.role == role; });
  }

  /// A member of that role that copies can be made from.
  std::optional<size_t> find(Role role) const {
    for (size_t i = 0; i < cluster_.size(); ++i) {
      if (cluster_[i].role == role && !cluster_[i].is_inline) return i;
    }
    return std::nullopt;
  }

  /// The F32 tensor that a narrower one is a rounding of: by their roles, or, of a pair that was
  /// found by its bits, without.
  std::optional<size_t> find_pair(bool is_narrow) const {
    const Role role = is_narrow ? Role::kMaster : Role::kWeight;
    if (self_.role != Role::kNone) return find(role);
    for (size_t i = 0; i < cluster_.size(); ++i) {
      if (i != number_ && cluster_[i].role == Role::kNone && !cluster_[i].is_inline) return i;
    }
    return std::nullopt;
  }

  void add_derived() {
    const auto cast = narrowing(self_.dtype);
    const bool is_narrow = cast.has_value();
    const bool has_part = is_narrow ? self_.role == Role::kWeight || self_.role == Role::kNone
                                    : self_.role == Role::kMaster || self_.role == Role::kNone;
    const auto other = has_part ? find_pair(is_narrow) : std::nullopt;
    // Of the two the one stands by itself, and the other is made from it.
    if (!other || is_narrow == options_.weights_first) return;
    const Dtype dtype = cluster_[*other].dtype;
    if (is_narrow && dtype == Dtype::kF32) {
      ways_.push_back({Way::kDerived, {{*other, false}}, *cast});
    } else if (self_.dtype == Dtype::kF32 && narrowing(dtype)) {
      const bool is_bf16 = dtype == Dtype::kBF16;
      ways_.push_back(
          {Way::kDerived, {{*other, false}}, is_bf16 ? Cast::kBf16ToF32 : Cast::kF16ToF32});
    }
  }

  void add_rule(ReplayRule rule, std::vector<WaySource> sources) {
    const bool stands_alone = options_.weights_first && self_.role == Role::kWeight;
    for (const WaySource& source : sources) {
      if (stands_alone && source.member != number_) return;
      const bool is_there = !bytes_of(cluster_, source).empty();
      if (!is_there || !replay_dtype(cluster_[source.member].dtype)) return;
    }
    ways_.push_back({Way::kReplay, std::move(sources), {}, rule});
  }

  void add_replay() {
    if (self_.before.empty()) return;
    // Of amsgrad the step is made with the largest second moment so far.
    const auto first = find(Role::kExpAvg), second = find(Role::kExpAvgSq);
    const auto largest = has(Role::kMaxExpAvgSq) ? find(Role::kMaxExpAvgSq) : second;
    const bool has_master = has(Role::kMaster);
    const Role parameter = has_master ? Role::kMaster : Role::kWeight;
    const bool is_parameter = self_.role == parameter;
    if (self_.role == Role::kExpAvg) {
      add_rule(ReplayRule::kAdamFirstMoment, {{number_, true}});
      if (const auto decayed = find(parameter)) {
        add_rule(ReplayRule::kDecayedFirstMoment, {{number_, true}, {*decayed, true}});
      }
    } else if (self_.role == Role::kExpAvgSq && first) {
      add_rule(ReplayRule::kAdamSecondMoment, {{*first, false}, {*first, true}, {number_, true}});
    } else if (self_.role == Role::kMaxExpAvgSq && second) {
      add_rule(ReplayRule::kAdamMaximum, {{number_, true}, {*second, false}});
    } else if (is_parameter && first && largest) {
      add_rule(ReplayRule::kAdamParameter, {{number_, true}, {*first, false}, {*largest, false}});
    } else if (is_parameter && !has(Role::kExpAvgSq)) {
      if (first) add_buffer_rules(*first);
      if (options_.from_gradients) add_rule(ReplayRule::kGradientParameter, {{number_, true}});
    }
  }

  /// For a parameter with one moment or buffer: which optimizer it is of, only a trial tells.
  void add_buffer_rules(size_t buffer) {
    const std::vector<WaySource> both = {{number_, true}, {buffer, false}, {buffer, true}};
    add_rule(ReplayRule::kSgdParameter, {both[0], both[1]});
    add_rule(ReplayRule::kNesterovParameter, both);
    add_rule(ReplayRule::kLionParameter, both);
  }

  const Cluster& cluster_;
  const size_t number_;
  const Member& self_;
  const WayOptions& options_;
  std::vector<EncodingWay> ways_;
};

}  // namespace

std::vector<EncodingWay> ways_of(const Cluster& cluster, size_t member, const WayOptions& options) {
  return Ways(cluster, member, options).list();
}

}  // namespace cairn
