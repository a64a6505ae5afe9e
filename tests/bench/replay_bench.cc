// The rate of fitting, encoding and decoding a replay, in bytes of decoded state per second and
// core: one chunk of 524288 items that a step of AdamW made, with the arithmetic of torch's fused
// kernel; of rules 8 and 9 a step of Adam, Muon.
// --ops=NAME as first argument measures another instruction set.
#include <benchmark/benchmark.h>

#include <string_view>

#include "base/replay/ops.h"
#include "base/replay/replay.h"
#include "tests/base/replay/gradient_step.h"

namespace cairn {
namespace {

/// One step as chunks, its facts, and what a rule needs of them.
struct Case {
  static constexpr size_t kItems = 524288;
  AdamStep step{kItems, 7};
  GradientStep adam{kItems, 7, OptimizerKind::kAdam, 0.1},
      muon{kItems, 7, OptimizerKind::kMuon, 0.1};
  ReplayRule rule;
  StepFacts facts = step.facts;
  std::vector<ReplayInput> bases;
  std::vector<ByteSpan> spans;
  ByteSpan items;

  explicit Case(int64_t number) : rule(static_cast<ReplayRule>(number)) {
    if (rule == ReplayRule::kAdamSecondMoment) {
      items = step.v;
      spans = {step.m, step.old_m, step.old_v};
    } else if (rule == ReplayRule::kAdamParameter) {
      items = step.w;
      spans = {step.old_w, step.m, step.v};
    } else if (rule == ReplayRule::kDecayedFirstMoment) {
      items = adam.m;
      spans = {adam.old_m, adam.old_w};
      facts = adam.facts;
    } else if (rule == ReplayRule::kGradientParameter) {
      items = muon.w;
      spans = {muon.old_w};
      facts = muon.facts;
    } else {
      items = step.m;
      spans = {step.old_m};
    }
    for (const ByteSpan span : spans) bases.push_back({span, ReplayDtype::kF32});
  }
};

void fit(benchmark::State& state) {
  const Case one(state.range(0));
  for (auto turn : state) {
    benchmark::DoNotOptimize(fit_replay(one.rule, one.facts, {one.items}, one.bases));
  }
}

void encode(benchmark::State& state) {
  const Case one(state.range(0));
  const auto parameters = fit_replay(one.rule, one.facts, {one.items}, one.bases);
  if (!parameters) return state.SkipWithError("nothing fits");
  size_t stored = 0;
  for (auto turn : state) {
    const Encoded encoded = encode_replay(*parameters, one.items, one.spans, Effort::kBalanced);
    stored = encoded.stored.size();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * one.items.size()));
  state.counters["stored"] = static_cast<double>(stored);
}

void decode(benchmark::State& state) {
  const Case one(state.range(0));
  const auto parameters = fit_replay(one.rule, one.facts, {one.items}, one.bases);
  if (!parameters) return state.SkipWithError("nothing fits");
  const Encoded encoded = encode_replay(*parameters, one.items, one.spans, Effort::kBalanced);
  Bytes out(one.items.size());
  for (auto turn : state) {
    const Status status = decode_replay(encoded.parameters, encoded.stored, one.spans, out);
    if (!status) return state.SkipWithError("damaged");
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * out.size()));
}

/// What of a decoding a device could do.
void predict(benchmark::State& state) {
  const Case one(state.range(0));
  const auto parameters = fit_replay(one.rule, one.facts, {one.items}, one.bases);
  if (!parameters) return state.SkipWithError("nothing fits");
  Bytes gradient, out(one.items.size());
  if (has_gradient(*parameters)) {
    gradient.resize(2 * Case::kItems);
    cast_items(Cast::kF32ToBf16, one.items, gradient);
  }
  for (auto turn : state) {
    const Status status = predict_replay(*parameters, one.spans, gradient, out);
    if (!status) return state.SkipWithError("sizes do not fit");
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * out.size()));
}

void rules(benchmark::internal::Benchmark* bench) {
  bench->ArgName("rule")->Arg(1)->Arg(2)->Arg(3)->Arg(8)->Arg(9)->UseRealTime();
}

BENCHMARK(fit)->Apply(rules)->Unit(benchmark::kMillisecond);
BENCHMARK(encode)->Apply(rules);
BENCHMARK(decode)->Apply(rules);
BENCHMARK(predict)->Apply(rules);

}  // namespace
}  // namespace cairn

int main(int argc, char** argv) {
  static constexpr std::string_view kOps = "--ops=";
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first.substr(0, kOps.size()) == kOps) {
    if (!cairn::use_replay_ops(first.substr(kOps.size()))) return 1;
    argv[1] = argv[0];
    ++argv;
    --argc;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
