#include <algorithm>
#include <set>
#include <tuple>

#include "store/chain_groups.h"
#include "store/gc/alone_share.h"
#include "store/gc/file_marks.h"
#include "store/gc/rebase.h"
#include "store/gc/rebase_choice.h"
#include "store/gc/rebase_worth.h"
#include "store/pack_format.h"

namespace cairn {
namespace {

class RebasePlanner {
 public:
  RebasePlanner(const Store& store, const Survey& survey, double min_dead_percent)
      : store_(store), worth_(store, survey, min_dead_percent) {
    for (const TagEntry& tag : survey.list.tags) tags_.push_back(&tag);
    std::sort(tags_.begin(), tags_.end(),
              [](const TagEntry* a, const TagEntry* b) { return a->commit < b->commit; });
  }

  Result<RebasePlan> plan() {
    CAIRN_TRY(const auto with_bases, note_pages());
    // One at a time: a checkpoint takes memory for all its tensors.
    for (const TagEntry* tag : with_bases) {
      const Status added = add_tag(*tag);
      if (added) continue;
      if (added.error().code != Code::kCorrupt && added.error().code != Code::kNotFound) {
        return tl::unexpected(added.error());
      }
      damage_.push_back(added.error().message);
    }
    CAIRN_TRY(RebasePlan chosen, choose());
    chosen.damage = std::move(damage_);
    return chosen;
  }

 private:
  /// What nothing comes back of is not counted on the next time, until all that is freed is.
  Result<RebasePlan> choose() {
    if (choice_.is_empty()) return RebasePlan();
    CAIRN_CHECK(worth_.note_needs());
    std::set<FileId> stuck;
    for (;;) {
      RebasePlan plan = choice_.choose(stuck);
      if (plan.is_empty()) return plan;
      const size_t known = stuck.size();
      stuck.merge(worth_.stuck_packs(plan));
      if (stuck.size() != known) continue;
      CAIRN_CHECK(worth_.settle(plan));
      return plan.frees_bytes > plan.writes_bytes ? plan : RebasePlan();
    }
  }

  /// Notes the pages that are some tag's own. Returns the tags that have bases beside them.
  Result<std::vector<const TagEntry*>> note_pages() {
    std::vector<const TagEntry*> with_bases;
    std::set<Reference> tables;
    for (const TagEntry* tag : tags_) {
      if (!tables.insert(tag->table).second) continue;
      CAIRN_TRY(const TagParts parts, read_tag_parts(store_, tag->manifest, tag->table));
      standing_.insert(parts.manifest.pages.begin(), parts.manifest.pages.end());
      if (!parts.table.closure.empty()) with_bases.push_back(tag);
    }
    return with_bases;
  }

  bool stands(const Checkpoint& checkpoint, const CopyRef& ref) const {
    return standing_.contains(checkpoint.table().place(ref.page).page.digest);
  }

  /// Own copies that are made from copies of pages that no tag has as its own.
  Result<std::vector<CopyRef>> orphans(Checkpoint& checkpoint) {
    std::vector<CopyRef> refs;
    const auto& pages = checkpoint.table().pages;
    for (uint32_t number = 0; number < pages.size(); ++number) {
      // The oldest tag that has the page speaks for all.
      if (!seen_.insert({pages[number].page.digest, pages[number].locator.digest}).second) continue;
      CAIRN_TRY(const auto page, checkpoint.page(number));
      for (uint32_t slot = 0; slot < page->locator.copies.size(); ++slot) {
        const auto& bases = page->locator.copies[slot].bases;
        shares_.note(page->locator.copies[slot]);
        const bool is_orphan = std::any_of(bases.begin(), bases.end(), [&](const BaseRef& base) {
          return !standing_.contains(base.page);
        });
        if (is_orphan) refs.push_back({number, slot});
      }
    }
    return refs;
  }

  Status add_tag(const TagEntry& tag) {
    CAIRN_TRY(const auto checkpoint, Checkpoint::open(store_, tag));
    CAIRN_TRY(const auto refs, orphans(*checkpoint));
    CAIRN_TRY(const auto groups, group_chains(*checkpoint, refs));
    for (const std::vector<uint32_t>& group : groups) {
      RebaseChain chain{tag, {}};
      for (const uint32_t number : group) chain.copies.push_back(refs[number]);
      CAIRN_CHECK(judge(*checkpoint, std::move(chain)));
    }
    return {};
  }

  /// What the chain writes, and what is needed for its sake: itself, and what is lost below it as
  /// far as no standing copy lies between, which needs that by itself.
  Status judge(Checkpoint& checkpoint, RebaseChain chain) {
    CAIRN_TRY(const DecodePlan decoding, plan_decoding(checkpoint, chain.copies));
    const std::set<CopyRef> rewritten(chain.copies.begin(), chain.copies.end());
    std::vector<bool> is_needed(decoding.copies.size());
    std::vector<Copy> needed;
    uint64_t writes = 0;
    for (const PlannedCopy& planned : decoding.copies) shares_.note(planned.copy);
    for (size_t number = decoding.copies.size(); number-- > 0;) {
      const PlannedCopy& planned = decoding.copies[number];
      const bool is_own = rewritten.contains(planned.ref);
      if (is_own) {
        writes += kPackRecordBytes + shares_.stored_bytes(decoding, static_cast<uint32_t>(number));
      }
      if (!is_own && (!is_needed[number] || stands(checkpoint, planned.ref))) continue;
      needed.push_back(planned.copy);
      for (const uint32_t base : planned.bases) is_needed[base] = true;
    }
    choice_.add(std::move(chain), writes, needed);
    return {};
  }

  const Store& store_;
  std::vector<const TagEntry*> tags_;  // the oldest first
  std::set<Digest> standing_;          // pages that are some tag's own
  std::set<std::pair<Digest, Digest>> seen_;
  RebaseChoice choice_;
  AloneShares shares_;
  RebaseWorth worth_;
  std::vector<std::string> damage_;
};

}  // namespace

Result<RebasePlan> plan_rebase(const Store& store, const Survey& survey, double min_dead_percent) {
  return RebasePlanner(store, survey, min_dead_percent).plan();
}

}  // namespace cairn
