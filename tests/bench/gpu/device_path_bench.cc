// Saves and loads of a state in the memory of the device that is here, as a table and as JSON,
// beside what was asked and plain copies of the same run. Everything saved is loaded and compared.
// The same program with the host as the device shows that it works, and holds bytes to their
// limits. Exit status 77: no device; 1: a failure, or more bytes than asked.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "gpu/device.h"
#include "tests/bench/gpu/path_row.h"

namespace cairn {
namespace {

#ifdef CAIRN_SIMT
constexpr bool kIsSimulated = true;
#else
constexpr bool kIsSimulated = false;
#endif

std::string text(const gpu::Spread& spread, int digits) {
  return fmt::format("{:.{}f} ({:.{}f} to {:.{}f})", spread.median, digits, spread.least, digits,
                     spread.most, digits);
}

/// What came of the row's targets.
const char* verdict(const PathRow& row, double value) {
  if (!row.asked) return "";
  if (kIsSimulated && !row.asked->is_exact) return "simulated";
  if (row.asked->is_aim_met(value)) return "aim met";
  return row.asked->is_met(value) ? "met" : "**missed**";
}

std::string asked_text(const PathRow& row, double Asked::*field) {
  if (!row.asked) return "";
  return fmt::format("{}{:g}", row.asked->is_most ? "at most " : "", *row.asked.*field);
}

void print_heading(const gpu::DeviceFacts& facts, const PathOptions& options) {
  if (kIsSimulated) std::cout << "simulated: speeds mean nothing\n\n";
  std::cout << fmt::format(
      "{}, {} multiprocessors, compute capability {}.{}; {:.3f} GiB of state in chunks of {} "
      "elements, store in {}, slabs of {} KiB, {} MiB pinned; medians of {} rounds (least to "
      "most)\n\n",
      facts.name, facts.multiprocessors, facts.major, facts.minor,
      static_cast<double>(options.state_bytes) / (1 << 30), options.chunk_elements, options.folder,
      options.slab_bytes >> 10, options.pinned_bytes >> 20, options.rounds);
  std::cout << "| | measured | must | aim | | copies down, GB/s | copies up, GB/s |\n"
               "|---|---|---|---|---|---|---|\n";
}

void print_row(const PathRow& row) {
  const gpu::Spread spread = gpu::spread_of(row.values);
  const int digits = row.unit == "x" ? 4 : 1;
  std::cout << fmt::format("| {} | {} {} | {} | {} | {} | {} | {} |\n", row.name,
                           text(spread, digits), row.unit, asked_text(row, &Asked::must),
                           asked_text(row, &Asked::aim), verdict(row, spread.median),
                           text(gpu::spread_of(row.copies.down), 1),
                           text(gpu::spread_of(row.copies.up), 1))
            << std::flush;
}

nlohmann::ordered_json json_of(const PathRow& row) {
  nlohmann::ordered_json told{{"name", row.name},
                              {"unit", row.unit},
                              {"median", gpu::spread_of(row.values).median},
                              {"values", row.values},
                              {"copies_down_gb_per_s", row.copies.down},
                              {"copies_up_gb_per_s", row.copies.up}};
  if (row.asked) {
    told["must"] = row.asked->must;
    told["aim"] = row.asked->aim;
    told["is_most"] = row.asked->is_most;
    told["is_met"] = row.asked->is_met(gpu::spread_of(row.values).median);
  }
  return told;
}

Status write_json(const std::string& path, const gpu::DeviceFacts& facts,
                  const PathOptions& options, const std::vector<PathRow>& rows) {
  auto told = nlohmann::ordered_json::array();
  for (const PathRow& row : rows) told.push_back(json_of(row));
  std::ofstream file(path);
  file << nlohmann::ordered_json{{"device", facts.name},
                                 {"multiprocessors", facts.multiprocessors},
                                 {"is_simulated", kIsSimulated},
                                 {"state_bytes", options.state_bytes},
                                 {"chunk_elements", options.chunk_elements},
                                 {"slab_bytes", options.slab_bytes},
                                 {"pinned_bytes", options.pinned_bytes},
                                 {"rounds", options.rounds},
                                 {"rows", std::move(told)}}
              .dump(1)
       << '\n';
  file.close();
  return file ? Status() : fail(Code::kFailed, fmt::format("writing {}", path));
}

/// Errors: also kFailed for what is missed whatever the device's speed.
Status check_exact(const std::vector<PathRow>& rows) {
  for (const PathRow& row : rows) {
    const double median = gpu::spread_of(row.values).median;
    if (!row.asked || !row.asked->is_exact || row.asked->is_met(median)) continue;
    return fail(Code::kFailed,
                fmt::format("{}: {:.4f}, asked at most {:g}", row.name, median, row.asked->must));
  }
  return {};
}

struct Section {
  const char* name;
  Status (*measure)(const PathOptions&, std::vector<PathRow>&);
};
constexpr Section kSections[] = {
    {"copies", measure_copies}, {"unchanged", measure_unchanged}, {"resident", measure_resident}};

Status run(const PathOptions& options, const std::string& json, const gpu::DeviceFacts& facts) {
  print_heading(facts, options);
  std::vector<PathRow> rows;
  for (const Section& section : kSections) {
    if (std::string_view(section.name).find(options.only) == std::string_view::npos) continue;
    const size_t before = rows.size();
    const Status measured = section.measure(options, rows);
    if (!measured) return tl::unexpected<Error>(with_context(measured.error(), section.name));
    for (size_t i = before; i < rows.size(); ++i) print_row(rows[i]);
  }
  if (rows.empty()) {
    return fail(Code::kUsage, fmt::format("no section '{}'; there are copies, unchanged, resident",
                                          options.only));
  }
  std::cout << "\nAll that was saved was loaded, and was equal.\n";
  if (!json.empty()) CAIRN_CHECK(write_json(json, facts, options, rows));
  return check_exact(rows);
}

}  // namespace
}  // namespace cairn

int main(int count, char** words) {
  using namespace cairn;
  PathOptions options;
  double gib = 16;
  uint64_t slab_kib = 32 << 10, pinned_mib = 0, device_mib = 256;
  std::string json;
  const bool has_memory = std::filesystem::is_directory("/dev/shm");
  options.folder = has_memory ? "/dev/shm" : std::filesystem::temp_directory_path().string();
  CLI::App app("Saves and loads of a state in the memory of the CUDA device that is here.");
  app.option_defaults()->always_capture_default();
  app.add_option("--gib", gib, "of state; the device needs thrice that")
      ->check(CLI::PositiveNumber);
  app.add_option("--rounds", options.rounds, "that medians are of")->check(CLI::PositiveNumber);
  app.add_option("--folder", options.folder, "where stores are made, and removed");
  app.add_option("--only", options.only, "copies, unchanged or resident");
  app.add_option("--changed", options.changed, "part of the chunks that change");
  app.add_option("--period", options.period, "one element in so many changes")
      ->check(CLI::PositiveNumber);
  app.add_option("--chunk-elements", options.chunk_elements, "of the store");
  app.add_option("--slab-kib", slab_kib, "that travel at a time");
  app.add_option("--pinned-mib", pinned_mib, "of the host; 0: for all that is brought");
  app.add_option("--device-mib", device_mib, "of the device, to work with");
  app.add_option("--multiprocessors", options.multiprocessors, "of the device; 0: all");
  app.add_option("--json", json, "a file for the figures");
  CLI11_PARSE(app, count, words);
  options.state_bytes = static_cast<uint64_t>(gib * (1 << 30));
  options.slab_bytes = slab_kib << 10;
  options.device_bytes = device_mib << 20;
  options.pinned_bytes =
      pinned_mib > 0 ? pinned_mib << 20 : options.state_bytes / 8 + 16 * options.slab_bytes;
  const auto facts = gpu::device_facts();
  if (!facts) {
    std::cout << "skipped: " << facts.error().message << ": " << facts.error().hint << '\n';
    return 77;
  }
  if (const auto status = run(options, json, *facts); !status) {
    std::cerr << "device_path_bench: " << status.error().message << '\n';
    if (!status.error().hint.empty()) std::cerr << status.error().hint << '\n';
    return 1;
  }
  return 0;
}
