#include "lib/chain_check.h"

#include <algorithm>
#include <random>

#include "base/pipeline.h"
#include "base/random.h"
#include "store/decode_order.h"

namespace cairn {

std::vector<CopyRef> ChainCheck::unproven(Checkpoint& checkpoint) const {
  std::vector<CopyRef> refs;
  for (uint32_t number = 0; number < checkpoint.table().pages.size(); ++number) {
    const auto page = checkpoint.page(number);
    // What cannot be read is named elsewhere.
    if (!page) continue;
    const std::vector<Copy>& copies = (*page)->locator.copies;
    for (uint32_t slot = 0; slot < copies.size(); ++slot) {
      if (!copies[slot].bases.empty() && !proven_.contains(as_told(copies[slot]))) {
        refs.push_back({number, slot});
      }
    }
  }
  return refs;
}

Status ChainCheck::check_chain(Checkpoint& checkpoint, std::span<const CopyRef> refs) {
  const Status done = plan_in_parts(checkpoint, refs, [&](size_t, const DecodePlan& plan) {
    return check_plan(checkpoint, plan);
  });
  if (done || !is_damage(done.error())) return done;
  if (refs.size() > 1) {
    for (const CopyRef& ref : refs) CAIRN_CHECK(check_chain(checkpoint, {&ref, 1}));
    return {};
  }
  // A chain that no reader decodes: too long, too wide, or of copies that are not there.
  const auto page = checkpoint.page(refs.front().page);
  if (!page) return is_damage(page.error()) ? Status() : tl::unexpected(page.error());
  const std::lock_guard lock(mutex_);
  copies_.damage((*page)->locator.copies[refs.front().slot], "data", done.error().message);
  return {};
}

Status ChainCheck::check_plan(Checkpoint& checkpoint, const DecodePlan& plan) {
  size_t delivered = 0;
  const auto count = [&](size_t, ByteSpan) {
    ++delivered;
    return not_stopped(request_);
  };
  const Status done = ChainReader(checkpoint, packs_).read_all(plan, count);
  if (!done && !is_damage(done.error())) return done;
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < delivered; ++i) proven_.insert(as_told(plan.copies[i].copy));
  // The copies of a plan are decoded in its order: the one after the last good one is to blame.
  if (!done) copies_.damage(plan.copies[delivered].copy, "data", done.error().message);
  return {};
}

Status ChainCheck::check(Checkpoint& checkpoint) {
  const std::vector<CopyRef> refs = unproven(checkpoint);
  const auto groups = group_chains(checkpoint, refs);
  // Bases that do not exist are damage of metadata, which was named.
  if (!groups) return is_damage(groups.error()) ? Status() : tl::unexpected(groups.error());
  std::mt19937_64 random = seeded_random();
  std::uniform_real_distribution<double> percent(0, 100);
  std::vector<const std::vector<uint32_t>*> chosen;
  for (const auto& group : *groups) {
    if (percent(random) < *request_.read_percent) chosen.push_back(&group);
  }
  return parallel_for(chosen.size(), request_.threads, [&](uint64_t i) -> Status {
    CAIRN_CHECK(not_stopped(request_));
    if (request_.time_limit && watch_.seconds() > double(request_.time_limit->count())) {
      const std::lock_guard lock(mutex_);
      report_.out_of_time = true;
      return {};
    }
    std::vector<CopyRef> chain;
    for (const uint32_t number : *chosen[i]) chain.push_back(refs[number]);
    return check_chain(checkpoint, chain);
  });
}

Result<std::optional<ChainDamage::Found>> ChainDamage::find(const CopyRef& ref) {
  if (const auto known = known_.find(ref); known != known_.end()) return known->second;
  CAIRN_TRY(const auto page, checkpoint_.page(ref.page));
  const Copy& own = page->locator.copies.at(ref.slot);
  if (const CopyDamage* damage = copies_.find(own)) return known_[ref] = Found{own, damage};
  CAIRN_TRY(const DecodePlan plan, plan_decoding(checkpoint_, {&ref, 1}));
  for (const PlannedCopy& planned : plan.copies) {
    const auto [at, fresh] = known_.try_emplace(planned.ref);
    if (!fresh) continue;
    if (const CopyDamage* damage = copies_.find(planned.copy)) {
      at->second = Found{planned.copy, damage};
      continue;
    }
    for (const uint32_t base : planned.bases) {
      if (const auto& below = known_[plan.copies[base].ref]) at->second = below;
    }
  }
  return known_[ref];
}

}  // namespace cairn
