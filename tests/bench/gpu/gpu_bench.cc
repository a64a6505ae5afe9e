// The rates of kernels on the device that is here, as a table and as JSON, beside what was asked.
// Clocks are as they are found. The same program with the host as the device only shows that it
// works. Exit status 77: no device.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tests/bench/gpu/measure.h"
#include "tests/bench/gpu/random_weights.h"
#include "tests/bench/gpu/rows.h"

namespace cairn::gpu {
namespace {

#ifdef CAIRN_SIMT
constexpr bool kIsSimulated = true;
#else
constexpr bool kIsSimulated = false;
#endif

struct Options {
  uint64_t mib = 4096;
  unsigned buffers = 2, rounds = 20;
  std::string only, json;
};

std::string text(const Spread& spread, int digits) {
  return fmt::format("{:.{}f} ({:.{}f} to {:.{}f})", spread.median, digits, spread.least, digits,
                     spread.most, digits);
}

const char* counted_text(Counted counted) {
  return counted == Counted::kRead ? "read" : "read + written";
}

/// What came of the row's targets.
const char* verdict(const Row& row, double rate) {
  if (kIsSimulated) return "simulated";
  if (rate >= row.aim) return "aim met";
  return rate >= row.must ? "met" : "**missed**";
}

void print_heading(const DeviceFacts& facts, const Options& options) {
  if (kIsSimulated) std::cout << "simulated: figures mean nothing\n\n";
  std::cout << fmt::format(
      "{}, {} multiprocessors, compute capability {}.{}; {} buffers of {} MiB of random BF16 in "
      "turn; medians of {} rounds (least to most)\n\n",
      facts.name, facts.multiprocessors, facts.major, facts.minor, options.buffers, options.mib,
      options.rounds);
  std::cout << "| operation | GB/s | counted | times a copy (read + written) | must | aim | |\n"
               "|---|---|---|---|---|---|---|\n";
}

void print_row(const Row& row, const Figures& figures) {
  std::cout << fmt::format("| {} | {} | {} | {} | {:.0f} | {:.0f} | {} |\n", row.name,
                           text(figures.gb_per_s, 0), counted_text(row.counted),
                           text(figures.times_copy, 3), row.must, row.aim,
                           verdict(row, figures.gb_per_s.median))
            << std::flush;
}

nlohmann::ordered_json json_of(const Spread& spread) {
  return {{"median", spread.median}, {"least", spread.least}, {"most", spread.most}};
}

nlohmann::ordered_json json_of(const Row& row, const Figures& figures) {
  return {{"name", row.name},
          {"counted", counted_text(row.counted)},
          {"gb_per_s", json_of(figures.gb_per_s)},
          {"copy_gb_per_s", json_of(figures.copy_gb_per_s)},
          {"times_copy", json_of(figures.times_copy)},
          {"must_gb_per_s", row.must},
          {"aim_gb_per_s", row.aim}};
}

Result<nlohmann::ordered_json> measure_rows(const Options& options) {
  CAIRN_TRY(const BenchData data, random_weights(options.mib * kMiB, options.buffers));
  auto rows = nlohmann::ordered_json::array();
  Spread copy;
  for (const Row& row : bench_rows()) {
    if (std::string_view(row.name).find(options.only) == std::string_view::npos) continue;
    auto figures = [&]() -> Result<Figures> {
      CAIRN_TRY(const auto operation, row.prepare(data));
      return measure(*operation, data, options.rounds);
    }();
    if (!figures) return tl::unexpected<Error>(with_context(figures.error(), row.name));
    print_row(row, *figures);
    rows.push_back(json_of(row, *figures));
    copy = figures->copy_gb_per_s;
  }
  if (rows.empty()) {
    std::string names;
    for (const Row& row : bench_rows()) names += fmt::format("\n  {}", row.name);
    return fail(Code::kUsage, fmt::format("no operation has '{}' in its name; there are:{}",
                                          options.only, names));
  }
  std::cout << fmt::format("\nA copy within the device, beside the last: {} GB/s, read + written. ",
                           text(copy, 0))
            << "Results were equal to the host's.\n";
  return rows;
}

Status run(const Options& options, const DeviceFacts& facts) {
  print_heading(facts, options);
  CAIRN_TRY(auto rows, measure_rows(options));
  if (options.json.empty()) return {};
  std::ofstream file(options.json);
  file << nlohmann::ordered_json{{"device", facts.name},
                                 {"multiprocessors", facts.multiprocessors},
                                 {"is_simulated", kIsSimulated},
                                 {"buffer_bytes", options.mib * kMiB},
                                 {"buffers", options.buffers},
                                 {"rounds", options.rounds},
                                 {"rows", std::move(rows)}}
              .dump(1)
       << '\n';
  file.close();
  if (!file) return fail(Code::kFailed, fmt::format("writing {}", options.json));
  return {};
}

}  // namespace
}  // namespace cairn::gpu

int main(int count, char** words) {
  using namespace cairn::gpu;
  Options options;
  CLI::App app("Rates of Cairn's kernels on the CUDA device that is here.");
  app.option_defaults()->always_capture_default();
  app.add_option("--mib", options.mib, "of each buffer")->check(CLI::PositiveNumber);
  app.add_option("--buffers", options.buffers, "that take turns")->check(CLI::PositiveNumber);
  app.add_option("--rounds", options.rounds, "that medians are of")->check(CLI::PositiveNumber);
  app.add_option("--only", options.only, "operations with this in their names");
  app.add_option("--json", options.json, "a file for the figures");
  CLI11_PARSE(app, count, words);
  const auto facts = device_facts();
  if (!facts) {
    std::cout << "skipped: " << facts.error().message << ": " << facts.error().hint << '\n';
    return 77;
  }
  if (const auto status = run(options, *facts); !status) {
    std::cerr << "gpu_bench: " << status.error().message << '\n';
    if (!status.error().hint.empty()) std::cerr << status.error().hint << '\n';
    return 1;
  }
  return 0;
}
