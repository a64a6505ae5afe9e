#include "lib/cluster_encoder.h"

#include <algorithm>

#include "base/buffer.h"
#include "base/replay/resting.h"

namespace cairn {

/// A trial speaks for so many chunks of its kind.
static constexpr unsigned kUsesOfTrial = 16;
/// After so many samples that nothing predicts, a rule is not tried again in this save.
static constexpr unsigned kFailuresMax = 8;

/// Whether much of a first moment had no gradient, so that it follows whatever the others do.
static bool rests(const Member& member) {
  return member.role == Role::kExpAvg && member.dtype == Dtype::kF32 && !member.before.empty() &&
         has_resting(member.now, member.before);
}

/// An encoding must save a sixteenth, or the chunk stays raw: a raw copy loads faster.
static bool is_worth_it(size_t encoded_bytes, size_t decoded_bytes) {
  return encoded_bytes <= decoded_bytes - decoded_bytes / 16;
}

/// Whether a chunk shrinks less than it did in the base.
static bool has_drifted(size_t encoded_bytes, size_t bytes_before) {
  constexpr size_t kChangeBytes = 64;
  return encoded_bytes > bytes_before + bytes_before / 8 + kChangeBytes;
}

/// Whether the member's copy in the base is encoded in that way.
static bool was_way_of(const Member& member, const EncodingWay& way) {
  if (!member.base || member.before.empty()) return false;
  const BaseUnit& copy = *member.base;
  switch (way.way) {
    case Way::kZstd:
    case Way::kPlanes:
      return false;  // with a base there may be better ways now
    case Way::kDelta:
      return copy.encoding == Encoding::kDelta || copy.encoding == Encoding::kSparse;
    case Way::kDerived:
      return copy.encoding == Encoding::kDerived && copy.detail == static_cast<uint8_t>(way.cast);
    case Way::kReplay:
      return copy.encoding == Encoding::kReplay && copy.detail == static_cast<uint8_t>(way.rule);
  }
  return false;
}

/// The same cluster cut down to one block from the middle.
static Cluster sample_of(const Cluster& cluster, size_t member) {
  const size_t items = cluster[member].now.size() / cluster[member].form.bytes;
  const size_t count = std::min(items, kBlockItems);
  const size_t first = (items - count) / 4 * 2;
  Cluster sample = cluster;
  for (Member& each : sample) {
    // A complex number is two items, where another member has one.
    const auto cut = [&](ByteSpan bytes) {
      const size_t its_items = bytes.size() / each.form.bytes;
      return bytes.subspan(first * its_items / items * each.form.bytes,
                           count * its_items / items * each.form.bytes);
    };
    if (!each.now.empty()) each.now = cut(each.now);
    if (!each.before.empty()) each.before = cut(each.before);
  }
  return sample;
}

static Encoded encode_zstd(ByteSpan bytes, int level) {
  Encoded encoded{Encoding::kZstd, {}, Bytes(bytes.size())};
  const auto count = zstd_encode(bytes, level, encoded.stored);
  // What does not fit is of no use.
  if (count) encoded.stored.resize(*count);
  return encoded;
}

std::optional<ReplayParameters> ClusterEncoder::fit(const Cluster& cluster, size_t member,
                                                    const EncodingWay& way,
                                                    const StepFacts& facts) {
  const ReplayInput items{cluster[member].now, *replay_dtype(cluster[member].dtype)};
  FitKey key{way.rule, {items.dtype}, {}, facts};
  // The size of Muon's step depends on the shape.
  if (way.rule == ReplayRule::kGradientParameter) key.item = cluster[member].item;
  std::vector<ReplayInput> bases;
  for (const WaySource& source : way.sources) {
    bases.push_back({bytes_of(cluster, source), *replay_dtype(cluster[source.member].dtype)});
    key.dtypes.push_back(bases.back().dtype);
  }
  auto known = known_fit(key);
  if (!(known && *known) && rests(cluster[member])) {
    // What fits it says nothing of others.
    key.item = cluster[member].item;
    known = known_fit(key);
  }
  if (known) return *known;
  auto found = fit_replay(way.rule, facts, items, bases);
  remember(key, found);
  return found;
}

std::optional<std::optional<ReplayParameters>> ClusterEncoder::known_fit(const FitKey& key) {
  const std::lock_guard lock(mutex_);
  for (const Fit& fit : fits_) {
    if (fit.key != key) continue;
    if (fit.parameters || fit.failures >= kFailuresMax) return fit.parameters;
  }
  return std::nullopt;
}

void ClusterEncoder::remember(const FitKey& key, const std::optional<ReplayParameters>& found) {
  const std::lock_guard lock(mutex_);
  auto known =
      std::find_if(fits_.begin(), fits_.end(), [&](const Fit& each) { return each.key == key; });
  if (known == fits_.end()) known = fits_.insert(fits_.end(), {key, {}, 0});
  if (!found) ++known->failures;
  if (found && !known->parameters) known->parameters = found;
}

std::optional<Encoded> ClusterEncoder::encode_way(const Cluster& cluster, size_t member,
                                                  const EncodingWay& way, const StepFacts& facts) {
  const Member& self = cluster[member];
  switch (way.way) {
    case Way::kZstd:
      return encode_zstd(self.now, options_.zstd_level != 0 ? options_.zstd_level : 1);
    case Way::kPlanes:
      return encode_planes(self.now, self.form, options_.effort);
    case Way::kDelta:
      return encode_delta(self.now, self.before, self.form, options_.effort);
    case Way::kDerived:
      return encode_derived(self.now, bytes_of(cluster, way.sources[0]), way.cast, options_.effort);
    case Way::kReplay: {
      const auto parameters = fit(cluster, member, way, facts);
      if (!parameters) return std::nullopt;
      std::vector<ByteSpan> bases;
      for (const WaySource& source : way.sources) bases.push_back(bytes_of(cluster, source));
      return encode_replay(*parameters, self.now, bases, options_.effort);
    }
  }
  return std::nullopt;
}

std::optional<size_t> ClusterEncoder::try_all(const Cluster& cluster, size_t member,
                                              const std::vector<EncodingWay>& ways,
                                              const StepFacts& facts) {
  const Cluster sample = sample_of(cluster, member);
  std::optional<size_t> best;
  size_t fewest = sample[member].now.size() + 1;
  bool is_replayed = false;
  for (size_t i = 0; i < ways.size(); ++i) {
    // A gradient either has the decay in it or has not: a fit that must fail costs a millisecond.
    if (is_replayed && ways[i].rule == ReplayRule::kDecayedFirstMoment) continue;
    const auto encoded = encode_way(sample, member, ways[i], facts);
    is_replayed = is_replayed || (encoded && ways[i].way == Way::kReplay);
    if (!encoded || encoded->stored.size() >= fewest) continue;
    best = i;
    fewest = encoded->stored.size();
    // Nothing is to be gained over next to nothing.
    if (fewest <= sample[member].now.size() / 256) break;
  }
  return best && is_worth_it(fewest, sample[member].now.size()) ? best : std::nullopt;
}

std::optional<size_t> ClusterEncoder::choose(const Cluster& cluster, size_t member,
                                             const std::vector<EncodingWay>& ways,
                                             const StepFacts& facts, Chance chance) {
  const Member& self = cluster[member];
  // A trial of a chunk that is hardly larger than a sample would cost what the rest saves.
  const bool is_small = self.now.size() <= 2 * kBlockItems * self.form.bytes;
  if (is_small) return try_all(cluster, member, ways, facts);
  Kind kind{self.role,   self.dtype, !self.before.empty(), chance.weights_first, facts.optimizer,
            rests(self), {}};
  for (const EncodingWay& way : ways) kind.ways.emplace_back(way.way, way.cast, way.rule);
  if (!chance.has_drifted) {
    const std::lock_guard lock(mutex_);
    Memory& memory = memory_[kind];
    if (memory.uses_left > 0) {
      --memory.uses_left;
      return memory.way;
    }
  }
  const auto best = try_all(cluster, member, ways, facts);
  const std::lock_guard lock(mutex_);
  memory_[kind] = {best, kUsesOfTrial};
  return best;
}

std::vector<EncodingWay> ClusterEncoder::all_ways(const Cluster& cluster, size_t member,
                                                  const StepFacts& facts,
                                                  bool weights_first) const {
  if (options_.zstd_level != 0) return {{Way::kZstd}};
  const bool from_gradients =
      facts.optimizer == OptimizerKind::kSgd || facts.optimizer == OptimizerKind::kMuon;
  return ways_of(cluster, member, {options_.predict, weights_first, from_gradients});
}

std::optional<FittedWay> ClusterEncoder::find_way(const Cluster& cluster, size_t member,
                                                  const StepFacts& facts, bool weights_first) {
  const auto ways = all_ways(cluster, member, facts, weights_first);
  const auto best = try_all(cluster, member, ways, facts);
  if (!best) return std::nullopt;
  FittedWay found{ways[*best]};
  if (found.way.way == Way::kReplay) found.parameters = fit(cluster, member, found.way, facts);
  return found;
}

/// Whether it decodes to the bytes it was made of.
static Status prove(const Encoded& encoded, const std::vector<ByteSpan>& bases, ByteSpan now) {
  thread_local AlignedBuffer room;
  if (room.size() < now.size()) room = AlignedBuffer(now.size());
  const MutableBytes out = room.span().first(now.size());
  CAIRN_CHECK(decode(encoded.encoding, encoded.parameters, encoded.stored, bases, out));
  if (std::memcmp(out.data(), now.data(), now.size()) == 0) return {};
  return fail(Code::kBug, "an encoded chunk decodes to other bytes");
}

Result<std::optional<EncodedChunk>> ClusterEncoder::encode(const Cluster& cluster, size_t member,
                                                           const StepFacts& facts,
                                                           bool weights_first) {
  const Member& self = cluster[member];
  const std::optional<EncodedChunk> raw;
  if (is_zero(self.now)) return EncodedChunk{{Encoding::kZero, {}, {}}, {}, {}};
  if (self.before.empty() && options_.has_time && !options_.has_time()) return raw;
  const std::vector<EncodingWay> ways = all_ways(cluster, member, facts, weights_first);
  // Ways that are likelier than that of the base may be new.
  std::optional<size_t> chosen = 0;
  std::optional<Encoded> encoded;
  const bool is_remembered = was_way_of(self, ways.front());
  if (is_remembered) encoded = encode_way(cluster, member, ways.front(), facts);
  if (!encoded || has_drifted(encoded->stored.size(), self.base->stored_bytes)) {
    chosen = choose(cluster, member, ways, facts, {weights_first, is_remembered});
    if (!chosen) return raw;
    if (!encoded || *chosen != 0) encoded = encode_way(cluster, member, ways[*chosen], facts);
  }
  const EncodingWay& way = ways[*chosen];
  if (!encoded || !is_worth_it(encoded->stored.size(), self.now.size())) return raw;
  std::vector<ByteSpan> bases;
  EncodedChunk chunk;
  for (const WaySource& source : way.sources) {
    const Member& other = cluster[source.member];
    bases.push_back(bytes_of(cluster, source));
    chunk.base_digests.push_back(source.before ? other.base->digest : other.digest);
    if (source.before) {
      chunk.bases.emplace_back(other.base->named);
    } else {
      chunk.bases.emplace_back(other.place);
    }
  }
  CAIRN_CHECK(prove(*encoded, bases, self.now));
  chunk.encoded = *std::move(encoded);
  return std::optional(std::move(chunk));
}

}  // namespace cairn
