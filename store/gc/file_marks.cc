#include "store/gc/file_marks.h"

#include <fmt/format.h>

#include "store/meta_pack.h"

namespace cairn {

Result<TagParts> read_tag_parts(const Store& store, const Reference& manifest,
                                const Reference& table) {
  TagParts parts;
  CAIRN_TRY(const Bytes manifest_bytes, read_object(store.meta_files(), manifest));
  CAIRN_TRY(parts.manifest, decode_manifest(manifest_bytes));
  CAIRN_TRY(const Bytes table_bytes, read_object(store.meta_files(), table));
  CAIRN_TRY(parts.table, decode_locator_table(table_bytes, parts.manifest.pages));
  return parts;
}

Status FileMarks::mark_parts(const Reference& manifest, const Reference& table) {
  if (seen_tables_.contains(table)) return {};
  CAIRN_TRY(const TagParts parts, read_tag_parts(store_, manifest, table));
  seen_tables_.insert(table);
  for (size_t page = 0; page < parts.table.page_count(); ++page) {
    const PagePlace& place = parts.table.place(page);
    metas_.insert(place.page.file);
    metas_.insert(place.locator.file);
  }
  for (const PackUse& use : parts.table.packs) packs_.insert(use.pack);
  return {};
}

Status FileMarks::mark_tag(const TagEntry& tag) {
  for (const Reference* reference : {&tag.manifest, &tag.schema, &tag.table}) {
    metas_.insert(reference->file);
  }
  if (tag.layout) metas_.insert(tag.layout->file);
  const Status marked = mark_parts(tag.manifest, tag.table);
  if (marked) return marked;
  Error error = with_context(marked.error(), fmt::format("marking tag '{}'", tag.name));
  // A standing tag whose files are gone is damage, not a missing tag.
  if (error.code == Code::kNotFound) error.code = Code::kCorrupt;
  if (error.code == Code::kCorrupt) {
    error.hint =
        "nothing was deleted: run 'cairn check', then 'cairn repair tags' or forget the tag";
  }
  return tl::unexpected(std::move(error));
}

Status FileMarks::mark_lease(const FoundLease& found) {
  if (found.life != Life::kAlive) return {};
  sessions_.insert(found.session);
  if (!found.lease || !found.lease->base) return {};
  const LeasedBase& base = *found.lease->base;
  for (const Reference* reference : {&base.manifest, &base.schema, &base.table}) {
    metas_.insert(reference->file);
  }
  if (base.layout) metas_.insert(base.layout->file);
  for (const FileId& pack : base.packs) packs_.insert(pack);
  const Status marked = mark_parts(base.manifest, base.table);
  // A session that looked for its base too late finds the base gone in its second look.
  if (marked || marked.error().code == Code::kNotFound) return {};
  return tl::unexpected(with_context(
      marked.error(), fmt::format("marking the base of session {}", found.session.hex())));
}

void FileMarks::mark_tables(const std::vector<TagTableRef>& tables) {
  for (const TagTableRef& table : tables) metas_.insert(table.table.file);
}

}  // namespace cairn
