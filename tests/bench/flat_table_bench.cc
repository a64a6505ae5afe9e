// The flat digest table: memory of a chunk, time to fill it from sorted lists, look-ups a second.
//
//   flat_table_bench CHUNKS      prints one JSON object
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "base/clock.h"
#include "store/index/chunk_records.h"
#include "store/index/flat_table.h"

namespace cairn {
namespace {

/// Digests are bits by chance; these cost less to make.
Digest digest_of(std::mt19937_64& random, uint16_t list) {
  Digest digest;
  for (size_t at = 0; at < digest.bytes.size(); at += 8) {
    const uint64_t word = random();
    std::memcpy(digest.bytes.data() + at, &word, 8);
  }
  digest.bytes[0] = static_cast<uint8_t>(list >> 8);
  digest.bytes[1] = static_cast<uint8_t>(list);
  return digest;
}

void run(uint64_t chunks) {
  constexpr uint32_t kLists = 1 << 16;
  std::mt19937_64 random(1);
  FlatTable table(chunks);
  std::vector<Digest> known;
  Stopwatch fill;
  double filled = 0;
  uint64_t made = 0;
  for (uint32_t list = 0; list < kLists; ++list) {
    std::vector<ChunkRecord> records;
    for (; made * kLists < chunks * (list + 1); ++made) {
      records.push_back({digest_of(random, static_cast<uint16_t>(list)), made * 64, 1, 7, 7});
      if (made % 16 == 0) known.push_back(records.back().digest);
    }
    fill = {};
    table.add(static_cast<uint16_t>(list), records);
    filled += fill.seconds();
  }
  std::shuffle(known.begin(), known.end(), random);
  const Stopwatch watch;
  uint64_t found = 0;
  for (const Digest& digest : known) found += table.find(digest) ? 1 : 0;
  const double seconds = watch.seconds();
  if (found != known.size() || table.size() != chunks) std::exit(1);
  std::cout << nlohmann::ordered_json{{"chunks", chunks},
                                      {"bytes_per_chunk",
                                       double(table.memory_bytes()) / double(chunks)},
                                      {"fill_seconds", filled},
                                      {"look_ups_per_second", double(known.size()) / seconds}}
            << '\n';
}

}  // namespace
}  // namespace cairn

int main(int count, char** words) {
  if (count != 2) {
    std::cerr << "usage: flat_table_bench CHUNKS\n";
    return 2;
  }
  cairn::run(std::stoull(words[1]));
}
