// A tag of very many new chunks: what its commit costs, the index's catch-up beside the least it
// can cost (sort and ingest of the same keys, and the helper's start), and opening it again.
//
//   commit_bench FOLDER CAIRN [CHUNKS] [ROUNDS]      prints one JSON object
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "base/clock.h"
#include "lib/cairn.hpp"
#include "store/checkpoint.h"
#include "store/index/index.h"
#include "store/index/tables.h"
#include "store/index_helper.h"

namespace cairn {
namespace {

constexpr uint64_t kChunkBytes = 1024;
constexpr uint64_t kTensors = 1000;

template <class T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  std::cerr << result.error().message << '\n';
  std::exit(1);
}
void must(const Status& status) {
  if (status) return;
  std::cerr << status.error().message << '\n';
  std::exit(1);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Bytes unique_bytes(uint64_t bytes) {
  Bytes data(bytes);
  std::mt19937_64 random(1);
  for (uint64_t at = 0; at < bytes; at += 8) {
    const uint64_t word = random();
    std::memcpy(data.data() + at, &word, 8);
  }
  return data;
}

SaveRequest request_of(const std::string& tag, const Bytes& data) {
  SaveRequest request;
  request.tag = tag;
  const uint64_t bytes = data.size() / kTensors;
  for (uint64_t i = 0; i < kTensors; ++i) {
    request.tensors.push_back({.name = "layer." + std::to_string(i),
                               .dtype = Dtype::kU8,
                               .shape = {bytes},
                               .box = whole_box({bytes}),
                               .data = data.data() + i * bytes,
                               .strides_bytes = {}});
  }
  return request;
}

/// The tag's rows as the index keeps them, in no order.
std::vector<ChunkRecord> records_of(const Store& store, const std::string& tag) {
  const auto checkpoint = must(open_tag(store, tag));
  std::vector<ChunkRecord> records;
  for (size_t page = 0; page < checkpoint->table().pages.size(); ++page) {
    const auto loaded = must(checkpoint->page(page));
    for (size_t i = 0; i < loaded->page.entries.size(); ++i) {
      const Copy& copy = loaded->locator.copies[loaded->first_slots[i]];
      records.push_back({std::get<Digest>(loaded->page.entries[i]), copy.offset, copy.pack.number,
                         copy.stored_bytes, copy.decoded_bytes, copy.encoding});
    }
  }
  return records;
}

double time_root(const Store& store, int round) {
  const Stopwatch watch;
  must(fork_tag(store, "fork/" + std::to_string(round), "big", std::chrono::seconds(1)));
  return watch.seconds();
}

double time_open(const std::string& path) {
  const Stopwatch watch;
  const auto store = must(Store::open(posix_fs(), path));
  const auto checkpoint = must(open_tag(*store, "big"));
  uint64_t bytes = 0;
  for (const TensorInfo& tensor : checkpoint->schema().tensors) bytes += tensor.name.size();
  if (bytes == 0) std::exit(1);
  return watch.seconds();
}

double time_catch_up(const Store& store) {
  std::filesystem::remove_all(index_path(store));
  const Stopwatch watch;
  auto index = must(Index::open(store, Index::Access::kWrite));
  must(index->catch_up());
  return watch.seconds();
}

double time_least(const std::string& folder, std::vector<ChunkRecord> records) {
  std::filesystem::remove_all(folder);
  const Stopwatch watch;
  std::sort(records.begin(), records.end());
  const auto tables = must(RocksTables::open(folder, true));
  must(tables->ingest(records));
  rocksdb::WriteBatch batch;
  batch.Put(tables->handle(Family::kFacts), "commit", "1");
  must(tables->write(batch));
  return watch.seconds();
}

double time_helper(const std::string& program, const std::string& empty_store) {
  const Stopwatch watch;
  must(IndexHelper::start(program, empty_store));
  return watch.seconds();
}

}  // namespace
}  // namespace cairn

int main(int count, char** words) {
  using namespace cairn;
  if (count < 3) {
    std::cerr << "usage: commit_bench FOLDER CAIRN [CHUNKS] [ROUNDS]\n";
    return 2;
  }
  const std::string folder = words[1], store_path = folder + "/store", empty = folder + "/empty";
  const uint64_t chunks = count > 3 ? std::stoull(words[3]) : 1000000;
  const int rounds = count > 4 ? std::stoi(words[4]) : 10;
  std::filesystem::create_directories(folder);
  Config config;
  config.chunk_elements = kChunkBytes;
  must(Store::init(posix_fs(), store_path, config));
  must(Store::init(posix_fs(), empty, Config{}));
  const auto store = must(Store::open(posix_fs(), store_path));
  double save_s = 0;
  {
    const Bytes data = unique_bytes(chunks * kChunkBytes);
    save_s = must(save(*store, request_of("big", data))).elapsed_s;
  }
  const std::vector<ChunkRecord> records = records_of(*store, "big");
  std::vector<double> root, open, catch_up, least, helper, ratio;
  for (int round = 0; round < rounds; ++round) {
    root.push_back(time_root(*store, round));
    open.push_back(time_open(store_path));
    catch_up.push_back(time_catch_up(*store));
    least.push_back(time_least(folder + "/least", records));
    helper.push_back(time_helper(words[2], empty));
    ratio.push_back(catch_up.back() / (least.back() + helper.back()));
  }
  std::cout << nlohmann::ordered_json{{"chunks", records.size()},
                                      {"save_s", save_s},
                                      {"root_replacement_s", median(root)},
                                      {"open_and_list_s", median(open)},
                                      {"catch_up_s", median(catch_up)},
                                      {"sort_and_ingest_s", median(least)},
                                      {"helper_start_s", median(helper)},
                                      {"catch_up_over_least", median(ratio)},
                                      {"rounds", rounds}}
                   .dump(1)
            << '\n';
  std::filesystem::remove_all(folder);
}
