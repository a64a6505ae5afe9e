#include "lib/transfer/standing_copies.h"

#include <fmt/format.h>

namespace cairn {

/// Whether what failed says something about the base, and not about the way to it.
static bool is_of_base(Code code) {
  return code == Code::kCorrupt || code == Code::kNotFound || code == Code::kNewerFormat ||
         code == Code::kFailed;
}

template <class T>
Result<T> StandingCopies::noted(Result<T> asked) {
  if (!asked && !fault_ && is_of_base(asked.error().code)) fault_ = asked.error();
  return asked;
}

const PagePlace* StandingCopies::page_place(const Digest& page) const {
  if (base_ == nullptr) return nullptr;
  const auto number = base_->checkpoint().page_numbers().of(page);
  return number ? &base_->checkpoint().table().place(*number) : nullptr;
}

Result<std::shared_ptr<const LoadedPage>> StandingCopies::page(const Digest& page) {
  return noted(base_->checkpoint().page(*base_->checkpoint().page_numbers().of(page)));
}

/// Which copies the base needs itself.
Status StandingCopies::find_needed() {
  if (needed_) return {};
  CAIRN_TRY(needed_, NeededBases::of(base_->checkpoint()));
  return {};
}

Result<bool> StandingCopies::holds(const Copy& copy, const Digest& digest) {
  if (tables_->holds(copy, digest)) return true;
  CAIRN_CHECK(tables_->reached());
  if (!fault_) {
    fault_ = {Code::kCorrupt,
              fmt::format("'{}' does not hold what tag '{}' has in it",
                          relative_path(FileKind::kPack, copy.pack), base_->tag().name),
              ""};
  }
  return false;
}

Result<std::optional<Copy>> StandingCopies::of_place(const Digest& page, uint32_t slot) {
  if (base_ == nullptr) return std::optional<Copy>();
  return noted(copy_at(page, slot));
}

Result<std::optional<Copy>> StandingCopies::copy_at(const Digest& page, uint32_t slot) {
  Checkpoint& checkpoint = base_->checkpoint();
  CAIRN_CHECK(find_needed());
  const auto number = checkpoint.page_numbers().of(page);
  if (!number || !needed_->contains({*number, slot})) return std::optional<Copy>();
  CAIRN_TRY(const auto loaded, checkpoint.page(*number));
  CAIRN_CHECK(check_slot({*number, slot}, loaded->locator));
  const Copy& copy = loaded->locator.copies[slot];
  if (only_alone_ && !copy.bases.empty()) return std::optional<Copy>();
  CAIRN_TRY(const bool is_there, holds(copy, loaded->digest_of(slot)));
  return is_there ? std::optional(copy) : std::nullopt;
}

Status StandingCopies::read_digests() {
  if (has_read_digests_) return {};
  CAIRN_CHECK(find_needed());
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
  has_read_digests_ = true;
  return {};
}

Result<std::optional<Copy>> StandingCopies::copy_of(const Digest& digest) {
  CAIRN_CHECK(read_digests());
  const auto known = refs_.find(digest);
  if (known == refs_.end()) return std::optional<Copy>();
  CAIRN_TRY(const auto page, base_->checkpoint().page(known->second.page));
  const Copy& copy = page->locator.copies[known->second.slot];
  if (only_alone_ && !copy.bases.empty()) return std::optional<Copy>();
  CAIRN_TRY(const bool is_there, holds(copy, digest));
  return is_there ? std::optional(copy) : std::nullopt;
}

Result<std::optional<Copy>> StandingCopies::of_digest(const Digest& digest) {
  if (base_ != nullptr) {
    CAIRN_TRY(auto copy, noted(copy_of(digest)));
    if (copy) return copy;
  }
  const auto found = found_.find(digest);
  if (found == found_.end()) return std::optional<Copy>();
  reused_packs_.insert(found->second.pack);
  return std::optional(found->second);
}

Status StandingCopies::add_found(const std::vector<Digest>& digests,
                                 const std::vector<std::optional<Copy>>& found) {
  for (size_t i = 0; i < digests.size() && i < found.size(); ++i) {
    if (!found[i]) continue;
    auto whole = tables_->complete(*found[i], digests[i]);
    if (whole && whole->bases.empty()) found_.insert_or_assign(digests[i], *std::move(whole));
  }
  return tables_->reached();
}

}  // namespace cairn
