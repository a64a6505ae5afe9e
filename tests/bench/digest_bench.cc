// The rate of the digest in bytes per second: one input a call, or a batch of 256 KiB a call, on 1
// and 2 threads, inputs in memory. --kernel=NAME as first argument measures another kernel.
// tests/bench/digest_bench.py sets the figures against OpenSSL's SHA-256.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/digest.h"

namespace cairn {
namespace {

constexpr size_t kBatchBytes = 256 * kKiB;

struct Inputs {
  Bytes bytes;
  std::vector<ByteSpan> inputs;
  std::vector<Digest> digests;

  explicit Inputs(size_t input_bytes) : bytes(std::max(kBatchBytes, input_bytes)) {
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * i >> 7);
    for (size_t at = 0; at + input_bytes <= bytes.size(); at += input_bytes) {
      inputs.push_back(ByteSpan(bytes).subspan(at, input_bytes));
    }
    digests.resize(inputs.size());
  }
};

void digest_single(benchmark::State& state) {
  Inputs all(static_cast<size_t>(state.range(0)));
  size_t next = 0;
  for (auto step : state) {
    benchmark::DoNotOptimize(blake3(all.inputs[next]));
    next = next + 1 == all.inputs.size() ? 0 : next + 1;
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}

void digest_batch(benchmark::State& state) {
  Inputs all(static_cast<size_t>(state.range(0)));
  for (auto step : state) {
    blake3_many(all.inputs, all.digests);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * all.bytes.size()));
}

/// Lengths from 1 byte to 64 KiB, as many short as long ones.
void digest_mixed(benchmark::State& state) {
  const Bytes bytes(64 * kKiB, 7);
  std::vector<ByteSpan> inputs;
  size_t total = 0;
  for (size_t i = 0; i < 64; ++i) {
    const size_t length = (size_t{1} << i % 17) - (i * 37) % (1 + (size_t{1} << i % 17) / 2);
    inputs.push_back(ByteSpan(bytes).first(length));
    total += length;
  }
  std::vector<Digest> digests(inputs.size());
  for (auto step : state) {
    blake3_many(inputs, digests);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * total));
}

void lengths_and_threads(benchmark::internal::Benchmark* bench) {
  for (const int64_t bytes : {1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20}) bench->Arg(bytes);
  bench->Threads(1)->Threads(2)->UseRealTime();
}

BENCHMARK(digest_single)->Apply(lengths_and_threads);
BENCHMARK(digest_batch)->Apply(lengths_and_threads);
BENCHMARK(digest_mixed)->Threads(1)->Threads(2)->UseRealTime();

}  // namespace
}  // namespace cairn

int main(int argc, char** argv) {
  static constexpr std::string_view kKernel = "--kernel=";
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first.substr(0, kKernel.size()) == kKernel) {
    if (!cairn::use_digest_kernel(first.substr(kKernel.size()))) return 1;
    argv[1] = argv[0];
    ++argv;
    --argc;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
