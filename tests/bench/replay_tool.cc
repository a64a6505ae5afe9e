// Fits and encodes one chunk, for tests/bench/replay_study.py:
//   replay_tool RULE DTYPE FACTS ITEMS BASE...
// RULE is its number, DTYPE f32 or bf16, FACTS like lr=1e-3,step=2 (or -), the others are files.
// Prints the variant (-1: nothing fits), the bytes an item takes, the milliseconds of the fit,
// the percentage of items that are predicted exactly, the scalars.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/replay/gradient.h"
#include "base/replay/predictor.h"
#include "base/replay/replay.h"

namespace cairn {
namespace {

Bytes read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

StepFacts parse_facts(const std::string& text) {
  StepFacts facts;
  const std::map<std::string, std::optional<double>*> names = {
      {"step", &facts.step},   {"lr", &facts.lr},
      {"beta1", &facts.beta1}, {"beta2", &facts.beta2},
      {"eps", &facts.eps},     {"weight_decay", &facts.weight_decay},
      {"clip", &facts.clip},   {"momentum", &facts.momentum}};
  std::istringstream list(text);
  for (std::string fact; std::getline(list, fact, ',');) {
    const auto name = names.find(fact.substr(0, fact.find('=')));
    if (name != names.end()) *name->second = std::atof(fact.substr(fact.find('=') + 1).c_str());
  }
  return facts;
}

double exact_share(const ReplayParameters& parameters, ByteSpan items,
                   std::vector<ByteSpan> inputs) {
  const Predictor predictor(parameters);
  const size_t width = item_bytes(parameters.result);
  Bytes gradient, predicted(items.size());
  if (predictor.program().has_gradient) {
    gradient = find_gradient(predictor, parameters, items, inputs);
    inputs.push_back(gradient);
  }
  predictor.predict(inputs, 0, predicted);
  size_t exact = 0;
  for (size_t at = 0; at < items.size(); at += width) {
    exact += std::equal(&items[at], &items[at] + width, &predicted[at]) ? 1 : 0;
  }
  return static_cast<double>(exact * width) / static_cast<double>(items.size());
}

int run(int argc, char** argv) {
  if (argc < 6) return 2;
  const ReplayDtype dtype = std::string(argv[2]) == "bf16" ? ReplayDtype::kBf16 : ReplayDtype::kF32;
  std::vector<Bytes> files;
  for (int i = 4; i < argc; ++i) files.push_back(read_file(argv[i]));
  std::vector<ReplayInput> bases;
  std::vector<ByteSpan> spans;
  for (size_t i = 1; i < files.size(); ++i) bases.push_back({files[i], dtype});
  for (size_t i = 1; i < files.size(); ++i) spans.push_back(files[i]);
  const auto begin = std::chrono::steady_clock::now();
  const auto fitted = fit_replay(static_cast<ReplayRule>(std::atoi(argv[1])), parse_facts(argv[3]),
                                 {files[0], dtype}, bases);
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
  if (!fitted) {
    std::printf("-1 0 %.2f 0\n", time.count());
    return 0;
  }
  const Encoded encoded = encode_replay(*fitted, files[0], spans, Effort::kBalanced);
  Bytes decoded(files[0].size());
  if (!decode_replay(encoded.parameters, encoded.stored, spans, decoded)) return 1;
  if (decoded != files[0]) return 1;
  const double exact = exact_share(*fitted, files[0], spans);
  const double items = static_cast<double>(files[0].size()) / (dtype == ReplayDtype::kF32 ? 4 : 2);
  std::printf("%d %.5f %.2f %.3f", fitted->variant,
              static_cast<double>(encoded.stored.size()) / items, time.count(), 100 * exact);
  for (const uint32_t scalar : fitted->scalars) std::printf(" %08x", scalar);
  std::printf("\n");
  return 0;
}

}  // namespace
}  // namespace cairn

int main(int argc, char** argv) { return cairn::run(argc, argv); }
