#include "store/gc/tag_mover.h"

#include <algorithm>

namespace cairn {

TagMover::TagMover(const Store& store, const MovePlan& plan, const SessionId& session,
                   MetaWriter& metas)
    : store_(store), writer_(metas) {
  for (const Candidate& victim : plan.victims) {
    auto& gone = victim.file.kind == FileKind::kPack ? packs_gone_ : metas_gone_;
    gone.insert(victim.file.file);
  }
  for (size_t number = 0; number < plan.packs.size(); ++number) {
    const FileId pack{session, static_cast<uint32_t>(number)};
    for (const MovedCopy& moved : plan.packs[number].copies) {
      const PackedCopy& row = moved.row;
      const CopyPlace old{row.offset, row.stored_bytes, row.decoded_bytes};
      places_[moved.source].push_back({old, pack, moved.new_offset});
    }
  }
  for (auto& [source, places] : places_) {
    std::sort(places.begin(), places.end(),
              [](const NewPlace& a, const NewPlace& b) { return a.old < b.old; });
  }
}

/// Gives the copy its new place; false when it stays where it is.
bool TagMover::relocate(Copy& copy) const {
  const auto source = places_.find(copy.pack);
  if (source == places_.end()) return false;
  const CopyPlace old = place_of(copy);
  const auto place = std::lower_bound(
      source->second.begin(), source->second.end(), old,
      [](const NewPlace& each, const CopyPlace& wanted) { return each.old < wanted; });
  if (place == source->second.end() || place->old != old) return false;
  copy.pack = place->pack;
  copy.offset = place->offset;
  return true;
}

Result<Reference> TagMover::move_object(const Reference& reference, ObjectKind kind) {
  if (!leaves(reference)) {
    kept_.add(reference);
    return reference;
  }
  const auto known = objects_.find(reference.digest);
  if (known != objects_.end()) return known->second;
  CAIRN_TRY(const Bytes bytes, read_object(store_.meta_files(), reference));
  CAIRN_TRY(const Reference moved, writer_.add(kind, bytes));
  objects_[reference.digest] = moved;
  return moved;
}

Result<const TagMover::MovedLocator*> TagMover::move_locator(const Reference& reference) {
  const auto known = locators_.find(reference.digest);
  if (known != locators_.end()) return &known->second;
  CAIRN_TRY(const Bytes bytes, read_object(store_.meta_files(), reference));
  CAIRN_TRY(Locator locator, decode_locator(bytes));
  MovedLocator moved;
  bool is_new = false;
  std::unordered_map<FileId, uint64_t> uses;
  for (Copy& copy : locator.copies) {
    is_new = relocate(copy) || is_new;
    uses[copy.pack] += copy.stored_bytes;
  }
  moved.uses = {uses.begin(), uses.end()};
  if (is_new) {
    CAIRN_TRY(moved.written, writer_.add(ObjectKind::kLocator, encode_locator(locator)));
  }
  return &(locators_[reference.digest] = std::move(moved));
}

bool TagMover::is_touched(const TagEntry& tag, const LocatorTable& table) const {
  if (leaves(tag.manifest) || leaves(tag.schema) || leaves(tag.table)) return true;
  if (tag.layout && leaves(*tag.layout)) return true;
  for (size_t page = 0; page < table.page_count(); ++page) {
    const PagePlace& place = table.place(page);
    if (leaves(place.page) || leaves(place.locator)) return true;
    if (replaced_.contains(place.locator.digest)) return true;
  }
  return std::any_of(table.packs.begin(), table.packs.end(),
                     [&](const PackUse& use) { return packs_gone_.contains(use.pack); });
}

/// As the page's locator will be.
Result<Locator> TagMover::moved_locator(const LocatorTable& table, size_t page) const {
  const Reference& reference = table.place(page).locator;
  if (const auto found = replaced_.find(reference.digest); found != replaced_.end()) {
    return found->second;
  }
  CAIRN_TRY(const Bytes bytes, read_object(store_.meta_files(), reference));
  CAIRN_TRY(Locator locator, decode_locator(bytes));
  for (Copy& copy : locator.copies) relocate(copy);
  return locator;
}

/// The pages of bases that are needed still, and what is needed in them.
Status TagMover::rewrite_closure(const LocatorTable& old, LocatorTable& table,
                                 std::map<FileId, uint64_t>& uses) {
  std::set<uint32_t> needed;
  const auto read = [&](size_t page) { return moved_locator(old, page); };
  const auto note = [&](const CopyRef& ref, const Copy& copy) -> Status {
    if (ref.page < old.pages.size()) return {};
    needed.insert(ref.page);
    uses[copy.pack] += copy.stored_bytes;
    return {};
  };
  CAIRN_CHECK(for_each_needed(old, read, note));
  for (const uint32_t number : needed) {
    CAIRN_TRY(table.closure.emplace_back(), move_place(old.place(number)));
  }
  return {};
}

Result<PagePlace> TagMover::move_place(const PagePlace& place) {
  PagePlace moved;
  CAIRN_TRY(moved.page, move_object(place.page, ObjectKind::kPage));
  CAIRN_TRY(const MovedLocator* locator, move_locator(place.locator));
  if (locator->written) {
    moved.locator = *locator->written;
  } else {
    CAIRN_TRY(moved.locator, move_object(place.locator, ObjectKind::kLocator));
  }
  return moved;
}

Status TagMover::rewrite(const LocatorTable& old, LocatorTable& table) {
  std::map<FileId, uint64_t> uses;
  for (const PagePlace& place : old.pages) {
    CAIRN_TRY(table.pages.emplace_back(), move_place(place));
    CAIRN_TRY(const MovedLocator* locator, move_locator(place.locator));
    for (const auto& [pack, bytes] : locator->uses) uses[pack] += bytes;
  }
  if (!old.closure.empty()) CAIRN_CHECK(rewrite_closure(old, table, uses));
  for (const auto& [pack, bytes] : uses) table.packs.push_back({pack, bytes});
  return {};
}

void TagMover::replace_locator(const Digest& old, const Reference& place, Locator locator) {
  MovedLocator moved{place, {}};
  for (const Copy& copy : locator.copies) moved.uses[copy.pack] += copy.stored_bytes;
  locators_[old] = std::move(moved);
  replaced_[old] = std::move(locator);
}

Result<std::optional<TagMover::MovedTable>> TagMover::move_table(const TagEntry& tag) {
  const auto known = tables_.find(tag.table);
  if (known != tables_.end()) return known->second;
  CAIRN_TRY(const TagParts parts, read_tag_parts(store_, tag.manifest, tag.table));
  std::optional<MovedTable> moved;
  if (is_touched(tag, parts.table)) {
    LocatorTable table{parts.table.manifest, {}, {}, {}};
    CAIRN_CHECK(rewrite(parts.table, table));
    moved.emplace();
    CAIRN_TRY(moved->manifest, move_object(tag.manifest, ObjectKind::kManifest));
    CAIRN_TRY(moved->table, writer_.add(ObjectKind::kLocatorTable, encode_locator_table(table)));
  } else {
    kept_.add_entry(tag);
    kept_.add_pages(parts.table);
  }
  tables_[tag.table] = moved;
  return moved;
}

Result<std::optional<TagEntry>> TagMover::move(const TagEntry& tag) {
  CAIRN_TRY(const auto table, move_table(tag));
  if (!table) return std::optional<TagEntry>();
  TagEntry moved = tag;
  moved.manifest = table->manifest;
  moved.table = table->table;
  CAIRN_TRY(moved.schema, move_object(tag.schema, ObjectKind::kSchema));
  if (tag.layout) {
    CAIRN_TRY(moved.layout, move_object(*tag.layout, ObjectKind::kLayout));
  }
  CAIRN_CHECK(writer_.add(ObjectKind::kTagEntry, encode_tag_entry(moved)));
  return std::optional<TagEntry>(std::move(moved));
}

Result<std::optional<Reference>> TagMover::move_tag_table(const TagBook& book,
                                                          const TagTableRef& table) {
  if (!leaves(table.table)) {
    kept_.add(table.table);
    return std::optional<Reference>();
  }
  CAIRN_TRY(const Bytes bytes, book.table_object(table));
  CAIRN_TRY(const Reference moved, writer_.add(ObjectKind::kTagTable, bytes));
  return std::optional(moved);
}

}  // namespace cairn
