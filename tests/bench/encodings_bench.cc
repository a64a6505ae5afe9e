// The rate of encodings in decoded bytes per second of one core, and how much smaller they make
// things ("ratio"): chunks of 524288 elements as a training run has them, by effort. Beside each
// the same through the byte planes of a whole chunk and zstd at level 1. --kernel=portable as first
// argument measures what a machine without wide instructions does.
#include <benchmark/benchmark.h>
#include <zstd.h>

#include <random>
#include <string_view>

#include "base/encodings/encode.h"
#include "base/encodings/item_kernel.h"

namespace cairn {
namespace {

constexpr size_t kElements = 524288;

/// A chunk and the one it was made of; `base` is empty where the encoding has none.
struct Sample {
  Bytes items, base;
  ItemForm form;
};

using Floats = std::vector<float>;

/// Weights of a layer: normal, rows of different scales.
Floats weights() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.02f), log_scale(0, 0.5f);
  Floats all(kElements);
  float scale = 1;
  for (size_t i = 0; i < all.size(); ++i) {
    if (i % 2048 == 0) scale = std::exp(log_scale(random));
    all[i] = scale * normal(random);
  }
  return all;
}
/// The weights after a step that changes each by about `step`.
Floats stepped(const Floats& from, float step) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal(0, step);
  Floats to = from;
  for (float& each : to) each += normal(random);
  return to;
}
Bytes f32_bytes(const Floats& floats) {
  const ByteSpan bytes = as_bytes(floats.data(), floats.size() * sizeof(float));
  return {bytes.begin(), bytes.end()};
}
Bytes bf16_bytes(const Floats& floats) {
  Bytes bytes(2 * floats.size());
  cast_items(Cast::kF32ToBf16, f32_bytes(floats), bytes);
  return bytes;
}

enum class Kind : uint8_t { kPlanesBf16, kPlanesF32, kSame, kBf16, kF32, kDerived };

Sample make_sample(Kind kind, float step) {
  const Floats before = weights();
  switch (kind) {
    case Kind::kPlanesBf16:
      return {bf16_bytes(before), {}, {2, true}};
    case Kind::kPlanesF32:
      return {f32_bytes(before), {}, {4, true}};
    case Kind::kSame:
      return {bf16_bytes(before), bf16_bytes(before), {2, true}};
    case Kind::kBf16:
      return {bf16_bytes(stepped(before, step)), bf16_bytes(before), {2, true}};
    case Kind::kF32:
      return {f32_bytes(stepped(before, step)), f32_bytes(before), {4, true}};
    case Kind::kDerived:
      return {bf16_bytes(before), f32_bytes(before), {2, true}};
  }
  return {};
}

Encoded encode(const Sample& sample, Kind kind, Effort effort) {
  if (kind == Kind::kDerived) {
    return encode_derived(sample.items, sample.base, Cast::kF32ToBf16, effort);
  }
  if (sample.base.empty()) return encode_planes(sample.items, sample.form, effort);
  return encode_delta(sample.items, sample.base, sample.form, effort);
}

void set_rate(benchmark::State& state, const Sample& sample, size_t stored) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * sample.items.size()));
  state.counters["ratio"] = static_cast<double>(sample.items.size()) / static_cast<double>(stored);
}

void encodes(benchmark::State& state, Kind kind, float step, Effort effort) {
  const Sample sample = make_sample(kind, step);
  size_t stored = 0;
  for (auto round : state) stored = encode(sample, kind, effort).stored.size();
  set_rate(state, sample, stored);
}

void decodes(benchmark::State& state, Kind kind, float step, Effort effort) {
  const Sample sample = make_sample(kind, step);
  const Encoded encoded = encode(sample, kind, effort);
  std::vector<ByteSpan> bases;
  if (!sample.base.empty()) bases.emplace_back(sample.base);
  Bytes out(sample.items.size());
  for (auto round : state) {
    if (!decode(encoded.encoding, encoded.parameters, encoded.stored, bases, out)) {
      state.SkipWithError("does not decode");
    }
    benchmark::ClobberMemory();
  }
  if (out != sample.items) state.SkipWithError("decodes to something else");
  set_rate(state, sample, encoded.stored.size());
}

/// What of a decoding is left to the host where a device does the rest: planes are not joined,
/// residuals correct nothing.
void decodes_in_part(benchmark::State& state, Kind kind, float step, Effort effort) {
  const Sample sample = make_sample(kind, step);
  const Encoded encoded = encode(sample, kind, effort);
  const ByteSpan form = ByteSpan(encoded.parameters).first(1);
  const auto part = sample.base.empty() ? decode_to_planes : decode_planes;
  Bytes out(sample.items.size());
  for (auto round : state) {
    if (!part(form, encoded.stored, out)) state.SkipWithError("does not decode");
    benchmark::ClobberMemory();
  }
  set_rate(state, sample, encoded.stored.size());
}

/// The byte planes of the items, or of their residuals to the base.
Bytes planes_of(const Sample& sample) {
  Bytes residuals = sample.items;
  const size_t count = sample.items.size() / sample.form.bytes;
  if (!sample.base.empty()) {
    item_kernel().subtract(sample.items.data(), sample.base.data(), count, sample.form.bytes,
                           sample.form.is_float, residuals.data());
  }
  Bytes planes(residuals.size());
  item_kernel().split(residuals.data(), count, sample.form.bytes, planes.data(), count);
  return planes;
}

void zstd_encodes(benchmark::State& state, Kind kind, float step) {
  const Sample sample = make_sample(kind, step);
  const Bytes planes = planes_of(sample);
  Bytes out(ZSTD_compressBound(planes.size()));
  size_t stored = 1;
  for (auto round : state) stored = zstd_encode(planes, 1, out).value_or(1);
  set_rate(state, sample, stored);
}

void zstd_decodes(benchmark::State& state, Kind kind, float step) {
  const Sample sample = make_sample(kind, step);
  const Bytes planes = planes_of(sample);
  Bytes stored(ZSTD_compressBound(planes.size())), out(planes.size());
  stored.resize(zstd_encode(planes, 1, stored).value_or(1));
  for (auto round : state) {
    if (!decode(Encoding::kZstd, stored, out)) state.SkipWithError("does not decode");
    benchmark::ClobberMemory();
  }
  set_rate(state, sample, stored.size());
}

struct Row {
  const char* name;
  Kind kind;
  float step;
};
// Steps in units of the weights: 0.2 % of BF16 weights change, 1 %, 5 %, 30 %, 70 %; masters all
// change.
constexpr Row kRows[] = {{"planes_bf16", Kind::kPlanesBf16, 0},
                         {"planes_f32", Kind::kPlanesF32, 0},
                         {"delta_same", Kind::kSame, 0},
                         {"delta_bf16_0.2%", Kind::kBf16, 7e-8f},
                         {"delta_bf16_1%", Kind::kBf16, 3.5e-7f},
                         {"delta_bf16_5%", Kind::kBf16, 1.8e-6f},
                         {"delta_bf16_30%", Kind::kBf16, 1.6e-5f},
                         {"delta_bf16_70%", Kind::kBf16, 1.2e-4f},
                         {"delta_f32_small", Kind::kF32, 2e-6f},
                         {"delta_f32_large", Kind::kF32, 1e-4f},
                         {"derived", Kind::kDerived, 0}};
struct EffortRow {
  const char* name;
  Effort effort;
};
constexpr EffortRow kEfforts[] = {
    {"fast", Effort::kFast}, {"balanced", Effort::kBalanced}, {"small", Effort::kSmall}};

/// Whether decoding has two parts. Few changes are put where they belong as they are read.
bool has_parts(Kind kind, float step) { return kind != Kind::kBf16 || step > 1e-5f; }

void register_all() {
  for (const auto& [name, kind, step] : kRows) {
    const std::string text = name;
    for (const auto& [effort_name, effort] : kEfforts) {
      const std::string suffix = text + "/" + effort_name;
      benchmark::RegisterBenchmark(("encode/" + suffix).c_str(), encodes, kind, step, effort);
      benchmark::RegisterBenchmark(("decode/" + suffix).c_str(), decodes, kind, step, effort);
    }
    if (has_parts(kind, step)) {
      benchmark::RegisterBenchmark(("decode_part/" + text + "/balanced").c_str(), decodes_in_part,
                                   kind, step, Effort::kBalanced);
    }
    if (kind == Kind::kDerived) continue;
    benchmark::RegisterBenchmark(("encode/" + text + "/zstd-1").c_str(), zstd_encodes, kind, step);
    benchmark::RegisterBenchmark(("decode/" + text + "/zstd-1").c_str(), zstd_decodes, kind, step);
  }
}

}  // namespace
}  // namespace cairn

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--kernel=portable") {
    cairn::use_item_kernel(&cairn::kItemsPortable);
    argv[1] = argv[0];
    ++argv;
    --argc;
  }
  cairn::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
