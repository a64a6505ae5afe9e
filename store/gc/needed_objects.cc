#include "store/gc/needed_objects.h"

#include "store/pack_format.h"

namespace cairn {

void NeededObjects::add_pages(const LocatorTable& table) {
  for (size_t page = 0; page < table.page_count(); ++page) {
    add(table.place(page).page);
    add(table.place(page).locator);
  }
}

void NeededObjects::add_entry(const TagEntry& tag) {
  add(tag.manifest);
  add(tag.schema);
  add(tag.table);
  if (tag.layout) add(*tag.layout);
  entries_.try_emplace(tag.table, encode_tag_entry(tag).size());
}

uint64_t NeededObjects::needed_bytes(const FileId& meta) const {
  const auto objects = metas_.find(meta);
  if (objects == metas_.end()) return 0;
  uint64_t bytes = kPackHeaderBytes + kPackTrailerBytes;
  const auto count = [&](uint64_t length) { bytes += round_up(length, 8) + kPackRecordBytes; };
  for (const auto& [offset, length] : objects->second) count(length);
  Reference first_in_meta;
  first_in_meta.file = meta;
  auto entry = entries_.lower_bound(first_in_meta);
  for (; entry != entries_.end() && entry->first.file == meta; ++entry) count(entry->second);
  return bytes;
}

}  // namespace cairn
