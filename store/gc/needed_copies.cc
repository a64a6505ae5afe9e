#include "store/gc/needed_copies.h"

#include <fmt/format.h>

#include <algorithm>

#include "store/meta_pack.h"
#include "store/pack_format.h"

namespace cairn {

Status NeededCopies::add_tag(const TagEntry& tag) {
  objects_.add_entry(tag);
  if (!seen_tables_.insert(tag.table).second) return {};
  const auto parts = read_tag_parts(store_, tag.manifest, tag.table);
  const Status added =
      parts ? add_table(parts->table, tag.commit) : Status(tl::unexpected(parts.error()));
  if (added) return {};
  return tl::unexpected(
      with_context(added.error(), fmt::format("looking at what tag '{}' needs", tag.name)));
}

Status NeededCopies::add_tags(const TagList& list, const TagBook& book) {
  for (const TagEntry& tag : list.tags) CAIRN_CHECK(add_tag(tag));
  for (const TagTableRef& table : book.tables()) objects_.add(table.table);
  return {};
}

Status NeededCopies::add_table(const LocatorTable& table, uint64_t commit) {
  objects_.add_pages(table);
  listed_.clear();
  for (const PackUse& use : table.packs) {
    Pack& pack = packs_[use.pack];
    pack.oldest_commit = std::min(pack.oldest_commit, commit);
    listed_[use.pack] = &pack;
  }
  seen_copies_.agree_with(table);
  const PageNumbers numbers(table);
  std::vector<CopyRef> wanted;
  if (previous_.size() < table.pages.size()) previous_.resize(table.pages.size());
  for (size_t page = 0; page < table.pages.size(); ++page) {
    if (!seen_copies_.add_all(table.pages[page].locator.digest)) continue;
    CAIRN_TRY(Locator locator, read_locator(table, page));
    CAIRN_CHECK(add_page(locator, previous_[page]));
    for (const Copy& copy : locator.copies) {
      for (const BaseRef& base : copy.bases) {
        CAIRN_TRY(wanted.emplace_back(), numbers.resolve(base));
      }
    }
    previous_[page] = std::move(locator);
  }
  return add_bases(std::move(wanted), table, numbers);
}

Result<Locator> NeededCopies::read_locator(const LocatorTable& table, size_t page) const {
  CAIRN_TRY(const Bytes bytes, read_object(store_.meta_files(), table.place(page).locator));
  return decode_locator(bytes);
}

Status NeededCopies::add_bases(std::vector<CopyRef> wanted, const LocatorTable& table,
                               const PageNumbers& numbers) {
  std::map<uint32_t, Locator> opened;
  while (!wanted.empty()) {
    const CopyRef ref = wanted.back();
    wanted.pop_back();
    if (!seen_copies_.add(table.place(ref.page).locator.digest, ref.slot)) continue;
    if (!opened.contains(ref.page)) {
      CAIRN_TRY(opened[ref.page], read_locator(table, ref.page));
    }
    const Locator& locator = opened[ref.page];
    CAIRN_CHECK(check_slot(ref, locator));
    const Copy& copy = locator.copies[ref.slot];
    for (const BaseRef& base : copy.bases) {
      CAIRN_TRY(wanted.emplace_back(), numbers.resolve(base));
    }
    CAIRN_CHECK(add_copy(copy));
  }
  return {};
}

/// Of a page that has changed, most copies are still those of the tag before.
Status NeededCopies::add_page(const Locator& locator, const Locator& before) {
  for (size_t slot = 0; slot < locator.copies.size(); ++slot) {
    const Copy& copy = locator.copies[slot];
    const bool is_known_copy = slot < before.copies.size() &&
                               before.copies[slot].offset == copy.offset &&
                               before.copies[slot] == copy;
    if (!is_known_copy) CAIRN_CHECK(add_copy(copy));
  }
  return {};
}

Status NeededCopies::add_copy(const Copy& copy) {
  const auto listed = listed_.find(copy.pack);
  if (listed == listed_.end()) {
    return fail(Code::kCorrupt,
                fmt::format("a copy lies in the pack '{}', which the locator table does not list",
                            relative_path(FileKind::kPack, copy.pack)));
  }
  if (!is_known(copy.encoding)) {
    return fail(Code::kNewerFormat,
                fmt::format("a copy in '{}' has the encoding {}, which this version lacks",
                            relative_path(FileKind::kPack, copy.pack), int(copy.encoding)),
                "use a newer cairn");
  }
  Pack& pack = *listed->second;
  const auto aux_bytes = static_cast<uint32_t>(aux_bytes_of(copy.bases.size(), copy.parameters));
  pack.places.push_back({place_of(copy), aux_bytes});
  constexpr size_t kSlack = 4096;
  if (pack.places.size() > 2 * pack.settled + kSlack) settle(pack);
  return {};
}

void NeededCopies::settle(Pack& pack) {
  std::sort(pack.places.begin(), pack.places.end());
  pack.places.erase(std::unique(pack.places.begin(), pack.places.end()), pack.places.end());
  pack.settled = pack.places.size();
}

const std::vector<NeededPlace>& NeededCopies::in_pack(const FileId& pack) {
  Pack& needed = packs_[pack];
  settle(needed);
  return needed.places;
}

uint64_t NeededCopies::needed_pack_bytes(const FileId& pack) {
  PackLayout layout;
  for (const NeededPlace& needed : in_pack(pack)) {
    layout.add(needed.place.stored_bytes, needed.aux_bytes);
  }
  return layout.is_empty() ? 0 : layout.file_bytes();
}

uint64_t NeededCopies::oldest_commit(const FileId& pack) const {
  const auto needed = packs_.find(pack);
  return needed == packs_.end() ? UINT64_MAX : needed->second.oldest_commit;
}

}  // namespace cairn
