// A training job's memory behind a pipe: holds tensors and saves and loads them when told, so that
// a driver (tests/bench/store_bench.py) can take turns between Cairn and its peers. One JSON object
// a line in and out; times are of the call alone, opening the store included.
#include <malloc.h>

#include <cstring>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/pipeline.h"
#include "lib/cairn.hpp"
#include "lib/grid.h"
#include "store/checkpoint.h"

namespace cairn {
namespace {

using nlohmann::json;

struct Tensor {
  std::string name;
  Shape shape;
  AlignedBuffer memory;
};

/// A figure of /proc/self/status, in bytes; 0 where it is not there.
uint64_t status_bytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return std::stoull(line.substr(name.size() + 1)) * 1024;
  }
  return 0;
}
/// What is swapped out counts: a save that reads the tensors brings them back.
uint64_t memory_bytes() { return status_bytes("VmRSS") + status_bytes("VmSwap"); }
uint64_t above(uint64_t before) {
  const uint64_t peak = status_bytes("VmHWM");
  return peak > before ? peak - before : 0;
}
void reset_peak() { std::ofstream("/proc/self/clear_refs") << 5; }

class Server {
 public:
  json answer(const json& request) {
    const std::string op = request.at("op");
    if (op == "make") return make(request);
    if (op == "mutate") return mutate(request);
    if (op == "hash") return hash(request);
    if (op == "save") return save_tag(request);
    if (op == "load") return load_tag(request);
    return {{"error", "unknown op " + op}};
  }

 private:
  json make(const json& request) {
    tensors_.clear();
    targets_.clear();
    malloc_trim(0);
    const uint64_t count = request.at("tensors"), rows = request.at("rows"),
                   columns = request.at("columns");
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t bytes = rows * columns * 4;
      tensors_.push_back({"layer." + std::to_string(i), {rows, columns}, AlignedBuffer(bytes)});
      std::mt19937_64 random(request.at("seed").get<uint64_t>() * 1000003 + i);
      for (uint64_t at = 0; at + 8 <= bytes; at += 8) {
        const uint64_t word = random();
        std::memcpy(tensors_.back().memory.data() + at, &word, 8);
      }
    }
    return {{"bytes", bytes()}};
  }

  uint64_t bytes() const {
    uint64_t sum = 0;
    for (const Tensor& tensor : tensors_) sum += bytes_of(tensor);
    return sum;
  }
  static uint64_t bytes_of(const Tensor& tensor) { return whole_box(tensor.shape).elements() * 4; }

  /// Changes the first element of a part of all chunks, evenly spread.
  json mutate(const json& request) {
    const double fraction = request.at("fraction");
    double due = 0;
    uint64_t changed = 0, changed_bytes = 0;
    for (Tensor& tensor : tensors_) {
      const Grid grid(tensor.shape, kChunkElements);
      for (uint64_t chunk = 0; chunk < grid.chunk_count(); ++chunk) {
        due += fraction;
        if (due < 1) continue;
        due -= 1;
        const Box box = grid.chunk_box(chunk);
        const uint64_t at = (box.offsets[0] * tensor.shape[1] + box.offsets[1]) * 4;
        ++tensor.memory.data()[at];
        ++changed;
        changed_bytes += box.elements() * 4;
      }
    }
    return {{"chunks", changed}, {"bytes", changed_bytes}};
  }

  json hash(const json& request) {
    const unsigned threads = request.at("threads");
    constexpr uint64_t kPart = 2 * kMiB;
    std::vector<ByteSpan> parts;
    for (const Tensor& tensor : tensors_) {
      for (uint64_t at = 0; at < bytes_of(tensor); at += kPart) {
        parts.push_back(
            ByteSpan(tensor.memory.span()).subspan(at, std::min(kPart, bytes_of(tensor) - at)));
      }
    }
    std::vector<Digest> digests(parts.size());
    const Stopwatch watch;
    (void)parallel_for(parts.size(), threads, [&](uint64_t i) -> Status {
      digests[i] = blake3(parts[i]);
      return {};
    }).has_value();
    return {{"elapsed_s", watch.seconds()}};
  }

  json save_tag(const json& request) {
    SaveRequest save_request;
    save_request.tag = request.at("tag");
    if (request.contains("base")) save_request.base = request.at("base").get<std::string>();
    const uint64_t parts = request.value("parts", 1);
    for (const Tensor& tensor : tensors_) {
      for (uint64_t part = 0; part < parts; ++part) {
        Box box = whole_box(tensor.shape);
        box.offsets[0] = tensor.shape[0] * part / parts;
        box.lengths[0] = tensor.shape[0] * (part + 1) / parts - box.offsets[0];
        const uint8_t* data = tensor.memory.data() + box.offsets[0] * tensor.shape[1] * 4;
        save_request.tensors.push_back({.name = tensor.name,
                                        .dtype = Dtype::kF32,
                                        .shape = tensor.shape,
                                        .box = box,
                                        .data = data,
                                        .strides_bytes = {},
                                        .writer = static_cast<uint32_t>(part)});
      }
    }
    reset_peak();
    const uint64_t before = memory_bytes();
    const Stopwatch watch;
    const std::string path = request.at("store");
    if (request.value("init", false)) {
      Config config;
      if (request.contains("chunk_elements")) config.chunk_elements = request.at("chunk_elements");
      if (const auto made = Store::init(posix_fs(), path, config); !made) return refuse(made);
    }
    const auto store = Store::open(posix_fs(), path);
    if (!store) return refuse(store);
    const auto saved = save(**store, save_request);
    if (!saved) return refuse(saved);
    return {{"elapsed_s", watch.seconds()},
            {"new_bytes", saved->facts.new_bytes},
            {"stored_bytes", saved->facts.stored_bytes},
            {"new_chunks", saved->facts.new_chunks},
            {"peak_bytes", above(before)}};
  }

  /// Loads the whole tag into boxes: "whole", or "rows"/"columns" cut into "parts".
  json load_tag(const json& request) {
    const uint64_t parts = request.value("parts", 1);
    const size_t axis = request.value("cut", std::string("rows")) == "columns" ? 1 : 0;
    if (targets_.size() != tensors_.size()) touch_targets();
    LoadRequest load_request;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const Shape& shape = tensors_[i].shape;
      uint8_t* at = targets_[i].data();
      for (uint64_t part = 0; part < parts; ++part) {
        // Each rank's box lies in memory of its own, contiguous, as it does in a training job.
        Box box = whole_box(shape);
        box.offsets[axis] = shape[axis] * part / parts;
        box.lengths[axis] = shape[axis] * (part + 1) / parts - box.offsets[axis];
        load_request.targets.push_back({tensors_[i].name, Dtype::kF32, shape, box, at, {}});
        at += box.elements() * 4;
      }
    }
    reset_peak();
    const uint64_t before = memory_bytes();
    const Stopwatch watch;
    const auto store = Store::open(posix_fs(), request.at("store").get<std::string>());
    if (!store) return refuse(store);
    const auto checkpoint = open_tag(**store, request.at("tag").get<std::string>());
    if (!checkpoint) return refuse(checkpoint);
    const auto loaded = load(**checkpoint, load_request);
    if (!loaded) return refuse(loaded);
    const double elapsed_s = watch.seconds();
    return {{"elapsed_s", elapsed_s},
            {"read_bytes", loaded->read_bytes},
            {"peak_bytes", above(before)},
            {"equal", parts == 1 && request.value("compare", false) ? json(is_equal()) : json()}};
  }

  bool is_equal() const {
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (std::memcmp(tensors_[i].memory.data(), targets_[i].data(), bytes_of(tensors_[i])) != 0) {
        return false;
      }
    }
    return true;
  }

  void touch_targets() {
    targets_.clear();
    for (const Tensor& tensor : tensors_) {
      targets_.emplace_back(bytes_of(tensor));
      std::memset(targets_.back().data(), 1, bytes_of(tensor));
    }
  }

  template <class Failed>
  static json refuse(const Failed& failed) {
    return {{"error", failed.error().message}};
  }

  inline static const uint64_t kChunkElements = Config{}.chunk_elements;

  std::vector<Tensor> tensors_;
  std::vector<AlignedBuffer> targets_;
};

}  // namespace
}  // namespace cairn

int main() {
  cairn::Server server;
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << server.answer(nlohmann::json::parse(line)).dump() << std::endl;
  }
}
