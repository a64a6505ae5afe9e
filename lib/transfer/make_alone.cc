#include "lib/transfer/make_alone.h"

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

Result<uint64_t> make_alone(Checkpoint& from, const std::vector<Fetch>& fetches, PackWriter& packs,
                            unsigned threads, const CallOptions& call, std::vector<Copy>& copies) {
  std::vector<CopyRef> refs;
  std::vector<uint32_t> numbers;
  for (uint32_t number = 0; number < fetches.size(); ++number) {
    if (!fetches[number].chain) continue;
    refs.push_back(*fetches[number].chain);
    numbers.push_back(number);
  }
  if (refs.empty()) return uint64_t{0};
  CAIRN_TRY(const auto groups, group_chains(from, refs));
  PackReader reader(from.store());
  const Status made = parallel_for(groups.size(), threads, [&](uint64_t i) -> Status {
    CAIRN_CHECK(unless_stopped(call.stop, "the transfer"));
    std::vector<CopyRef> chain;
    for (const uint32_t member : groups[i]) chain.push_back(refs[member]);
    return ChainReader(from, reader).read(chain, [&](size_t member, ByteSpan decoded) -> Status {
      const uint32_t number = numbers[groups[i][member]];
      const Fetch& fetch = fetches[number];
      CAIRN_TRY(copies[number], store_alone(fetch.copy, fetch.digest, decoded, packs, reader));
      count(call.progress, fetch, copies[number]);
      return {};
    });
  });
  CAIRN_CHECK(made);
  return reader.read_bytes();
}

}  // namespace cairn
