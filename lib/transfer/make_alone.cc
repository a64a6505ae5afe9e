#include "lib/transfer/make_alone.h"

#include <atomic>

#include "base/pipeline.h"
#include "base/stop.h"
#include "store/chain_groups.h"
#include "store/chain_reader.h"
#include "store/encode_alone.h"

namespace cairn {

static void count(ProgressCounters* progress, const Fetch& fetch, const Copy& copy) {
  if (progress == nullptr) return;
  progress->done_bytes += fetch.copy.decoded_bytes;
  progress->new_bytes += copy.stored_bytes;
}

Status make_alone(Checkpoint& from, const std::vector<Fetch>& fetches, PackWriter& packs,
                  unsigned threads, const CallOptions& call, Fetched& fetched) {
  std::vector<CopyRef> refs;
  std::vector<uint32_t> numbers;
  for (uint32_t number = 0; number < fetches.size(); ++number) {
    if (!fetches[number].chain) continue;
    refs.push_back(*fetches[number].chain);
    numbers.push_back(number);
  }
  CAIRN_TRY(const auto groups, group_chains(from, refs));
  PackReader reader(from.store());
  std::atomic<uint64_t> stored_bytes{0};
  const Status made = parallel_for(groups.size(), threads, [&](uint64_t i) -> Status {
    CAIRN_CHECK(unless_stopped(call.stop, "the transfer"));
    std::vector<CopyRef> chain;
    for (const uint32_t member : groups[i]) chain.push_back(refs[member]);
    return ChainReader(from, reader).read(chain, [&](size_t member, ByteSpan decoded) -> Status {
      const uint32_t number = numbers[groups[i][member]];
      const Fetch& fetch = fetches[number];
      Copy& copy = fetched.copies[number];
      CAIRN_TRY(copy, store_alone(fetch.copy, fetch.digest, decoded, packs, reader));
      stored_bytes += copy.stored_bytes;
      count(call.progress, fetch, copy);
      return {};
    });
  });
  CAIRN_CHECK(made);
  fetched.stored_bytes += stored_bytes;
  fetched.received_bytes += reader.read_bytes();
  return {};
}

}  // namespace cairn
