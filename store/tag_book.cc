#include "store/tag_book.h"

#include <algorithm>

namespace cairn {

/// Entries in the root itself: about 110 KB, which every change of the root writes anew.
static constexpr size_t kOwnEntriesMax = 256;
/// What a fold leaves of them at most, so that the next change does not need another.
static constexpr size_t kLeftEntriesMax = 192;

TagBook::TagBook(FilePool& metas, Root root)
    : commit_(root.commit), tables_(metas, std::move(root.tables)) {
  for (TagEntry& entry : root.entries) put(std::move(entry));
}

Result<const TagEntry*> TagBook::find(std::string_view name) {
  const auto own = own_.find(name);
  if (own != own_.end()) return own->second.removed ? nullptr : &own->second;
  if (tables_.empty()) return nullptr;
  CAIRN_TRY(const auto table, tables_.read(tables_.number_of(name)));
  return find_entry(*table, name);
}

Result<const TagEntry*> TagBook::newest(std::string_view prefix, const Wanted& wanted) {
  const TagEntry* newest = nullptr;
  const auto consider = [&](const TagEntry& entry) {
    const bool is_newer = newest == nullptr || entry.commit > newest->commit;
    if (is_newer && entry.name.starts_with(prefix) && wanted(entry)) newest = &entry;
  };
  auto own = own_.lower_bound(prefix);
  for (; own != own_.end() && own->first.starts_with(prefix); ++own) {
    if (!own->second.removed) consider(own->second);
  }
  const std::vector<TagTableRef>& refs = tables_.refs();
  std::vector<size_t> numbers;
  for (size_t i = refs.empty() ? 0 : tables_.number_of(prefix); i < refs.size(); ++i) {
    if (refs[i].first_name > prefix && !refs[i].first_name.starts_with(prefix)) break;
    numbers.push_back(i);
  }
  std::sort(numbers.begin(), numbers.end(),
            [&](size_t a, size_t b) { return refs[a].newest_commit > refs[b].newest_commit; });
  for (const size_t number : numbers) {
    if (newest != nullptr && newest->commit >= refs[number].newest_commit) break;
    CAIRN_TRY(const auto table, tables_.read(number));
    for (const TagEntry& entry : *table) {
      if (!own_.contains(entry.name)) consider(entry);
    }
  }
  return newest;
}

Result<const TagEntry*> TagBook::newest(std::string_view prefix) {
  return newest(prefix, [](const TagEntry&) { return true; });
}

Result<TagList> TagBook::list(const std::set<Digest>& seen) {
  TagList list{commit_, {}};
  auto own = own_.begin();
  const auto take_own = [&] {
    if (!own->second.removed) list.tags.push_back(own->second);
    ++own;
  };
  for (size_t number = 0; number < tables_.size(); ++number) {
    const TagTableRef& table = tables_.refs()[number];
    if (seen.contains(table.table.digest)) continue;
    CAIRN_TRY(auto entries, tables_.take(number));
    for (TagEntry& entry : entries) {
      while (own != own_.end() && own->first < entry.name) take_own();
      const bool is_hidden = own != own_.end() && own->first == entry.name;
      if (!is_hidden) list.tags.push_back(std::move(entry));
    }
  }
  while (own != own_.end()) take_own();
  return list;
}

void TagBook::put(TagEntry entry) {
  std::string name = entry.name;
  own_.insert_or_assign(std::move(name), std::move(entry));
}

void TagBook::remove(const std::string& name) {
  if (tables_.empty()) {
    own_.erase(name);
    return;
  }
  TagEntry tombstone;
  tombstone.name = name;
  tombstone.removed = true;
  put(std::move(tombstone));
}

bool TagBook::wants_fold() const { return own_.size() > kOwnEntriesMax; }

Status TagBook::fold(MetaWriter& writer) { return tables_.fold(own_, kLeftEntriesMax, writer); }

std::vector<TagEntry> TagBook::entries() const {
  std::vector<TagEntry> entries;
  entries.reserve(own_.size());
  for (const auto& [name, entry] : own_) entries.push_back(entry);
  return entries;
}

}  // namespace cairn
