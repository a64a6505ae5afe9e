#include "lib/transfer/proof.h"

#include "base/pipeline.h"
#include "base/stop.h"
#include "store/chain_groups.h"
#include "store/chain_reader.h"

namespace cairn {

/// A page that is made of the source's is none of its own.
static Result<CopyRef> ref_in(const Checkpoint& checkpoint, const Cargo& cargo, const Digest& page,
                              uint32_t slot) {
  const CargoPage* const made = cargo.made(page);
  const bool is_source = checkpoint.tag().manifest.digest != cargo.digest();
  if (made != nullptr && is_source) return made->refs[slot];
  return checkpoint.page_numbers().resolve({page, slot});
}

Status prove_fetched(Checkpoint& checkpoint, const Cargo& cargo, const TransferPlan& plan,
                     unsigned threads, const std::atomic<bool>* stop) {
  std::vector<CopyRef> refs;
  for (const auto& [page, chosen] : plan.pages) {
    for (uint32_t slot = 0; slot < chosen.slots.size(); ++slot) {
      const auto& choice = chosen.slots[slot];
      if (!choice || !choice->fetch || plan.fetches[*choice->fetch].bases.empty()) continue;
      CAIRN_TRY(refs.emplace_back(), ref_in(checkpoint, cargo, page, slot));
    }
  }
  CAIRN_TRY(const auto groups, group_chains(checkpoint, refs));
  PackReader packs(checkpoint.store());
  return parallel_for(groups.size(), threads, [&](uint64_t i) -> Status {
    CAIRN_CHECK(unless_stopped(stop, "the transfer"));
    std::vector<CopyRef> chain;
    for (const uint32_t number : groups[i]) chain.push_back(refs[number]);
    return ChainReader(checkpoint, packs).read(chain, [](size_t, ByteSpan) { return Status(); });
  });
}

}  // namespace cairn
