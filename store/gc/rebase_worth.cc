#include "store/gc/rebase_worth.h"

#include <algorithm>

#include "store/checkpoint.h"
#include "store/gc/tag_swap.h"
#include "store/seal.h"

namespace cairn {
namespace {

/// The chains' locators as they will be but for the places of the copies.
class NewLocators {
 public:
  explicit NewLocators(const Store& store) : store_(store) {}

  Status add(const std::vector<RebaseChain>& chains) {
    std::map<std::string, std::vector<const RebaseChain*>> by_tag;
    for (const RebaseChain& chain : chains) by_tag[chain.tag.name].push_back(&chain);
    // One at a time: a checkpoint takes memory for all its tensors.
    for (const auto& [name, of_tag] : by_tag) {
      CAIRN_TRY(const auto checkpoint, Checkpoint::open(store_, of_tag.front()->tag));
      for (const RebaseChain* chain : of_tag) {
        for (const CopyRef& ref : chain->copies) CAIRN_CHECK(replace(*checkpoint, ref));
      }
    }
    return {};
  }

  Status put_into(TagMover& mover, MetaWriter& metas) {
    for (auto& [old, locator] : locators_) {
      CAIRN_TRY(const Reference place, metas.add(ObjectKind::kLocator, encode_locator(locator)));
      mover.replace_locator(old, place, std::move(locator));
    }
    return {};
  }

 private:
  Status replace(Checkpoint& checkpoint, const CopyRef& ref) {
    CAIRN_TRY(const auto page, checkpoint.page(ref.page));
    const Digest& old = checkpoint.table().place(ref.page).locator.digest;
    Locator& locator = locators_.try_emplace(old, page->locator).first->second;
    Copy& copy = locator.copies[ref.slot];
    copy.pack = {};
    copy.offset = ++offset_;
    copy.bases.clear();
    const ByteSpan form = codec_parameters(copy);
    copy.parameters = seal_parameters(form.first(std::min<size_t>(form.size(), 1)), {});
    copy.encoding = Encoding::kPlanes;
    return {};
  }

  const Store& store_;
  std::map<Digest, Locator> locators_;  // by the digest of the old one
  uint64_t offset_ = 0;                 // no two locators may be equal
};

}  // namespace

Status RebaseWorth::note_needs() { return needed_.add_tags(survey_.list, survey_.book); }

/// What comes back of a file with the next move.
uint64_t RebaseWorth::reclaimed_bytes(const StoredFile& file, uint64_t needed_bytes) const {
  const Candidate candidate{file, needed_bytes, 0};
  if (needed_bytes == 0) return file.bytes;
  return is_worth_moving(candidate, min_dead_percent_) ? candidate.dead_bytes() : 0;
}

int64_t RebaseWorth::gain(const StoredFile& file, uint64_t needed_before,
                          uint64_t needed_after) const {
  return static_cast<int64_t>(reclaimed_bytes(file, needed_after)) -
         static_cast<int64_t>(reclaimed_bytes(file, needed_before));
}

static uint64_t less(uint64_t bytes, uint64_t by) { return bytes - std::min(bytes, by); }

std::set<FileId> RebaseWorth::stuck_packs(const RebasePlan& plan) {
  std::set<FileId> stuck;
  for (const StoredFile& file : survey_.files) {
    const auto freed = plan.freed_packs.find(file.file);
    if (file.kind != FileKind::kPack || freed == plan.freed_packs.end()) continue;
    const uint64_t needed = less(needed_.needed_pack_bytes(file.file), freed->second);
    if (reclaimed_bytes(file, needed) == 0) stuck.insert(file.file);
  }
  return stuck;
}

Status RebaseWorth::settle(RebasePlan& plan) {
  const SessionId nobody;
  const MovePlan nothing;
  MetaWriter metas(store_.fs(), store_.path(), nobody, MetaWriter::Mode::kMeasure);
  TagMover mover(store_, nothing, nobody, metas);
  NewLocators locators(store_);
  CAIRN_CHECK(locators.add(plan.chains));
  CAIRN_CHECK(locators.put_into(mover, metas));
  TagBook book = survey_.book;
  CAIRN_TRY(const PlannedSwaps planned, plan_swaps(store_, survey_.list, book, mover));
  CAIRN_CHECK(metas.finish());
  int64_t gained = 0;
  for (const StoredFile& file : survey_.files) {
    const bool is_pack = file.kind == FileKind::kPack;
    const uint64_t before =
        is_pack ? needed_.needed_pack_bytes(file.file) : needed_.needed_meta_bytes(file.file);
    if (before == 0) continue;
    const auto freed = plan.freed_packs.find(file.file);
    const uint64_t freed_bytes = freed == plan.freed_packs.end() ? 0 : freed->second;
    gained += gain(file, before,
                   is_pack ? less(before, freed_bytes) : mover.kept().needed_bytes(file.file));
  }
  plan.frees_bytes = static_cast<uint64_t>(std::max<int64_t>(gained, 0));
  plan.writes_bytes +=
      kPackHeaderBytes + kPackTrailerBytes + metas.stored_bytes() + planned.table_bytes;
  return {};
}

}  // namespace cairn
