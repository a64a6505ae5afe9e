// The rate at which content is cut, in bytes per second of one core, beside a plain read of the
// same buffer: 256 MiB, which no cache holds, and 512 KiB, which one does. "mean" is the average
// length of the chunks beside the one asked for. Compare within one run, e.g.
//   chunker_bench --benchmark_enable_random_interleaving --benchmark_repetitions=9
#include <benchmark/benchmark.h>

#include <random>
#include <string>

#include "base/chunker.h"
#include "base/encodings/cast.h"

namespace cairn {
namespace {

constexpr size_t kBytes = 256 * kMiB, kCachedBytes = 512 * kKiB;

Bytes noise(size_t bytes) {
  std::mt19937_64 random(1);
  Bytes content(bytes);
  for (size_t at = 0; at < bytes; at += 8) store_le<uint64_t>(content, at, random());
  return content;
}

/// Weights of layers, as training has them.
Bytes weights(size_t bytes) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal(0, 0.02f);
  Bytes content(bytes);
  for (size_t at = 0; at < bytes; at += 4) store_le<float>(content, at, normal(random));
  return content;
}

Bytes bf16_weights(size_t bytes) {
  Bytes content(bytes);
  cast_items(Cast::kF32ToBf16, weights(2 * bytes), content);
  return content;
}

const Bytes& large() {
  static const Bytes content = noise(kBytes);
  return content;
}

/// Plain: nothing but loads and sums, as wide as the compiler makes them.
void read(benchmark::State& state) {
  const ByteSpan content = ByteSpan(large()).first(static_cast<size_t>(state.range(0)));
  for (auto step : state) {
    uint64_t sums[8] = {};
    for (size_t at = 0; at < content.size(); at += 64) {
      for (size_t i = 0; i < 8; ++i) sums[i] += load_le<uint64_t>(content, at + 8 * i);
    }
    benchmark::DoNotOptimize(sums);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}

void cut(benchmark::State& state, const ChunkerKernel* kernel, uint64_t average) {
  const ByteSpan content = ByteSpan(large()).first(static_cast<size_t>(state.range(0)));
  use_chunker_kernel(kernel);
  for (auto step : state) {
    benchmark::DoNotOptimize(cut_content(content, ChunkRule::of_average(average)));
  }
  use_chunker_kernel(nullptr);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}

/// Every word is looked at, as where the candidates are found a part at a time.
void candidates(benchmark::State& state, const ChunkerKernel* kernel) {
  const ByteSpan content = ByteSpan(large()).first(static_cast<size_t>(state.range(0)));
  const uint32_t threshold = ChunkRule::of_average(256 * kKiB).threshold;
  use_chunker_kernel(kernel);
  for (auto step : state) {
    benchmark::DoNotOptimize(find_candidates(content, 0, content.size() / 4, threshold));
  }
  use_chunker_kernel(nullptr);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}

void mean(benchmark::State& state, Bytes (*make)(size_t), uint64_t average) {
  const Bytes content = make(kBytes / 2);
  std::vector<uint64_t> ends;
  for (auto step : state) ends = cut_content(content, ChunkRule::of_average(average));
  state.counters["mean"] =
      static_cast<double>(content.size()) / static_cast<double>(ends.size() * average);
}

void register_all() {
  for (const size_t bytes : {kBytes, kCachedBytes}) {
    const auto size = static_cast<int64_t>(bytes);
    benchmark::RegisterBenchmark("read", read)->Arg(size);
    for (const ChunkerKernel* kernel : chunker_kernels()) {
      const std::string name = kernel->name;
      benchmark::RegisterBenchmark(("cut/" + name).c_str(), cut, kernel, 256 * kKiB)->Arg(size);
      benchmark::RegisterBenchmark(("cut_64k/" + name).c_str(), cut, kernel, 64 * kKiB)->Arg(size);
      benchmark::RegisterBenchmark(("candidates/" + name).c_str(), candidates, kernel)->Arg(size);
    }
  }
  for (const uint64_t average : {4 * kKiB, 64 * kKiB, 256 * kKiB}) {
    const std::string suffix = "/" + std::to_string(average);
    const auto add = [&](const std::string& name, Bytes (*make)(size_t)) {
      benchmark::RegisterBenchmark((name + suffix).c_str(), mean, make, average)->Iterations(1);
    };
    add("mean/random", noise);
    add("mean/fp32", weights);
    add("mean/bf16", bf16_weights);
  }
}

}  // namespace
}  // namespace cairn

int main(int argc, char** argv) {
  cairn::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
