#include "store/tag_tables.h"

#include <fmt/format.h>

#include <algorithm>

#include "store/meta_pack.h"

namespace cairn {

/// About 110 KB: what a change of any one tag reads.
static constexpr size_t kTableEntriesMax = 256;
/// A table that would have fewer takes in the one that follows it.
static constexpr size_t kTableEntriesMin = 64;

const TagEntry* find_entry(const std::vector<TagEntry>& entries, std::string_view name) {
  const auto found = std::lower_bound(
      entries.begin(), entries.end(), name,
      [](const TagEntry& entry, std::string_view wanted) { return entry.name < wanted; });
  return found != entries.end() && found->name == name ? &*found : nullptr;
}

size_t TagTables::number_of(std::string_view name) const {
  const auto after = std::upper_bound(
      tables_.begin(), tables_.end(), name,
      [](std::string_view wanted, const TagTableRef& table) { return wanted < table.first_name; });
  return after == tables_.begin() ? 0 : size_t(after - tables_.begin()) - 1;
}

Result<TagTables::Entries> TagTables::take(size_t number) {
  const TagTableRef& table = tables_[number];
  const auto known = known_.find(table.table.digest);
  if (known != known_.end()) return *known->second;
  const auto bytes = read_object(metas_, table.table);
  if (!bytes && bytes.error().code == Code::kNotFound) {
    met_missing_ = true;
    return fail(Code::kCorrupt, fmt::format("a tag table is missing: {}", bytes.error().message));
  }
  CAIRN_CHECK(bytes);
  CAIRN_TRY(Entries entries, decode_tag_table(*bytes));
  const bool is_last = number + 1 == tables_.size();
  if (entries.size() != table.entries || entries.empty() ||
      entries.front().name != table.first_name ||
      (!is_last && entries.back().name >= tables_[number + 1].first_name)) {
    return fail(Code::kCorrupt,
                fmt::format("the tag table at {} of '{}' is not the one that root names",
                            table.table.offset, relative_path(FileKind::kMeta, table.table.file)));
  }
  return entries;
}

Result<std::shared_ptr<const TagTables::Entries>> TagTables::read(size_t number) {
  const Digest& digest = tables_[number].table.digest;
  const auto known = known_.find(digest);
  if (known != known_.end()) return known->second;
  CAIRN_TRY(Entries entries, take(number));
  return known_[digest] = std::make_shared<const Entries>(std::move(entries));
}

Result<Bytes> TagTables::object(const TagTableRef& table) const {
  const auto known = known_.find(table.table.digest);
  if (known == known_.end()) return read_object(metas_, table.table);
  Bytes bytes = encode_tag_table(*known->second);
  // A later version may have written more than this one keeps.
  if (blake3(bytes) != table.table.digest) return read_object(metas_, table.table);
  return bytes;
}

bool TagTables::move(const Reference& from, const Reference& to) {
  const auto table = std::find_if(tables_.begin(), tables_.end(),
                                  [&](const TagTableRef& each) { return each.table == from; });
  if (table == tables_.end()) return false;
  table->table = to;
  return true;
}

/// One pass over all tables, in name order.
class TagTables::Fold {
 public:
  Fold(TagTables& tables, TagOverlay& overlay, MetaWriter& writer)
      : tables_(tables), overlay_(overlay), writer_(writer) {}

  Status run(size_t left_max) {
    choose(left_max);
    for (size_t number = 0; number < groups_.size(); ++number) CAIRN_CHECK(pass(number));
    CAIRN_CHECK(flush());
    tables_.tables_ = std::move(made_);
    return {};
  }

 private:
  using Slice = std::pair<TagOverlay::iterator, TagOverlay::iterator>;
  struct Group {
    Slice slice;  // of the overlay, that goes into one table
    size_t count = 0;
    bool is_chosen = false;
  };

  /// Without a table there is one group, for the first one.
  void choose(size_t left_max) {
    groups_.resize(std::max<size_t>(tables_.size(), 1));
    auto begin = overlay_.begin();
    for (size_t number = 0; number < groups_.size(); ++number) {
      const bool is_last = number + 1 == groups_.size();
      const auto end =
          is_last ? overlay_.end() : overlay_.lower_bound(tables_.tables_[number + 1].first_name);
      groups_[number] = {{begin, end}, size_t(std::distance(begin, end)), false};
      begin = end;
    }
    std::vector<Group*> by_count;
    for (Group& group : groups_) by_count.push_back(&group);
    std::stable_sort(by_count.begin(), by_count.end(),
                     [](const Group* a, const Group* b) { return a->count > b->count; });
    size_t left = overlay_.size();
    for (Group* group : by_count) {
      if (left <= left_max) break;
      group->is_chosen = true;
      left -= group->count;
    }
  }

  Status pass(size_t number) {
    const Group& group = groups_[number];
    const bool has_too_few = !pending_.empty();
    if (!group.is_chosen && !has_too_few) {
      made_.push_back(tables_.tables_[number]);
      return {};
    }
    Entries old;
    if (!tables_.empty()) {
      CAIRN_TRY(old, tables_.take(number));
    }
    if (group.is_chosen) {
      lay_over(std::move(old), group.slice);
    } else {
      std::move(old.begin(), old.end(), std::back_inserter(pending_));
    }
    return pending_.size() >= kTableEntriesMin ? flush() : Status();
  }

  /// The slice's entries leave the overlay; tombstones have nothing more to hide.
  void lay_over(Entries old, const Slice& slice) {
    const auto take = [&](TagEntry& entry) {
      if (!entry.removed) pending_.push_back(std::move(entry));
    };
    auto over = slice.first;
    for (TagEntry& entry : old) {
      for (; over != slice.second && over->first < entry.name; ++over) take(over->second);
      if (over == slice.second || over->first != entry.name) pending_.push_back(std::move(entry));
    }
    for (; over != slice.second; ++over) take(over->second);
    overlay_.erase(slice.first, slice.second);
  }

  /// Writes what is pending as tables of about the same size.
  Status flush() {
    const size_t count = pending_.size();
    const size_t pieces = (count + kTableEntriesMax - 1) / kTableEntriesMax;
    for (size_t piece = 0; piece < pieces; ++piece) {
      const auto begin = pending_.begin() + std::ptrdiff_t(count * piece / pieces);
      const auto end = pending_.begin() + std::ptrdiff_t(count * (piece + 1) / pieces);
      CAIRN_CHECK(write({std::make_move_iterator(begin), std::make_move_iterator(end)}));
    }
    pending_.clear();
    return {};
  }

  Status write(Entries entries) {
    TagTableRef table;
    CAIRN_TRY(table.table, writer_.add(ObjectKind::kTagTable, encode_tag_table(entries)));
    table.entries = entries.size();
    table.first_name = entries.front().name;
    for (const TagEntry& entry : entries) {
      table.newest_commit = std::max(table.newest_commit, entry.commit);
    }
    tables_.known_[table.table.digest] = std::make_shared<const Entries>(std::move(entries));
    made_.push_back(std::move(table));
    return {};
  }

  TagTables& tables_;
  TagOverlay& overlay_;
  MetaWriter& writer_;
  std::vector<Group> groups_;  // by number of table
  Entries pending_;            // for the next tables
  std::vector<TagTableRef> made_;
};

Status TagTables::fold(TagOverlay& overlay, size_t left_max, MetaWriter& writer) {
  return Fold(*this, overlay, writer).run(left_max);
}

}  // namespace cairn
