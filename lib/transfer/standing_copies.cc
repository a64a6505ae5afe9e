#include "lib/transfer/standing_copies.h"

namespace cairn {

Result<StandingCopies> StandingCopies::of(BaseTag* base, PackTables& tables) {
  StandingCopies standing(base, tables);
  if (base != nullptr) {
    CAIRN_TRY(standing.needed_, NeededBases::of(base->checkpoint()));
  }
  return standing;
}

const PagePlace* StandingCopies::page_place(const Digest& page) const {
  if (base_ == nullptr) return nullptr;
  const auto number = base_->checkpoint().page_numbers().of(page);
  return number ? &base_->checkpoint().table().place(*number) : nullptr;
}

Result<std::shared_ptr<const LoadedPage>> StandingCopies::page(const Digest& page) const {
  return base_->checkpoint().page(*base_->checkpoint().page_numbers().of(page));
}

bool StandingCopies::holds(const Copy& copy, const Digest& digest) {
  const bool there = tables_->holds(copy, digest);
  is_broken_ = is_broken_ || !there;
  return there;
}

Result<std::optional<Copy>> StandingCopies::of_place(const Digest& page, uint32_t slot) {
  if (base_ == nullptr) return std::optional<Copy>();
  Checkpoint& checkpoint = base_->checkpoint();
  const auto number = checkpoint.page_numbers().of(page);
  if (!number || !needed_->contains({*number, slot})) return std::optional<Copy>();
  CAIRN_TRY(const auto loaded, checkpoint.page(*number));
  CAIRN_CHECK(check_slot({*number, slot}, loaded->locator));
  const Copy& copy = loaded->locator.copies[slot];
  return holds(copy, loaded->digest_of(slot)) ? std::optional(copy) : std::nullopt;
}

Status StandingCopies::read_digests() {
  has_read_digests_ = true;
  Checkpoint& checkpoint = base_->checkpoint();
  std::unordered_map<Digest, bool> stands_alone;
  for (uint32_t number = 0; number < checkpoint.table().page_count(); ++number) {
    CAIRN_TRY(const auto page, checkpoint.page(number));
    uint32_t slot = 0;
    for (const ChunkEntry& entry : page->page.entries) {
      for_each_digest(entry, [&](const Digest& digest) {
        const CopyRef ref{number, slot++};
        if (!needed_->contains(ref)) return;
        const bool alone = page->locator.copies[ref.slot].bases.empty();
        const auto [known, fresh] = stands_alone.try_emplace(digest, alone);
        if (fresh || (alone && !known->second)) refs_[digest] = ref;
        known->second = known->second || alone;
      });
    }
  }
  return {};
}

Result<std::optional<Copy>> StandingCopies::of_digest(const Digest& digest) {
  if (base_ != nullptr) {
    if (!has_read_digests_) CAIRN_CHECK(read_digests());
    if (const auto known = refs_.find(digest); known != refs_.end()) {
      CAIRN_TRY(const auto page, base_->checkpoint().page(known->second.page));
      const Copy& copy = page->locator.copies[known->second.slot];
      if (holds(copy, digest)) return std::optional(copy);
    }
  }
  const auto found = found_.find(digest);
  if (found == found_.end()) return std::optional<Copy>();
  reused_packs_.insert(found->second.pack);
  return std::optional(found->second);
}

void StandingCopies::add_found(const std::vector<Digest>& digests,
                               const std::vector<std::optional<Copy>>& found) {
  for (size_t i = 0; i < digests.size() && i < found.size(); ++i) {
    if (!found[i]) continue;
    auto whole = tables_->complete(*found[i], digests[i]);
    if (whole && whole->bases.empty()) found_.insert_or_assign(digests[i], *std::move(whole));
  }
}

}  // namespace cairn
