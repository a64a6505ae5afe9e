#include "store/gc/lost_tables.h"

#include <algorithm>
#include <mutex>

#include "base/pipeline.h"
#include "store/checkpoint.h"
#include "store/copy_place.h"
#include "store/pack_table.h"

namespace cairn {
namespace {

/// The rows of lost tables, put together tag by tag. Threads: one.
class LostRows {
 public:
  LostRows(const Store& store, LostTables& lost) : store_(store), lost_(lost) {}

  /// Errors: what keeps the tag's pages from being read.
  Status add_tag(const TagEntry& tag) {
    if (!seen_tables_.insert(tag.table).second) return {};
    CAIRN_TRY(const TagParts parts, read_tag_parts(store_, tag.manifest, tag.table));
    const bool is_concerned =
        std::any_of(parts.table.packs.begin(), parts.table.packs.end(),
                    [&](const PackUse& use) { return lost_.packs.contains(use.pack); });
    if (!is_concerned) return {};
    CAIRN_TRY(const auto checkpoint, Checkpoint::open(store_, tag));
    const auto read = [&](size_t number) -> Result<Locator> {
      CAIRN_TRY(const auto page, checkpoint->page(number));
      return page->locator;
    };
    return for_each_needed(checkpoint->table(), read, [&](const CopyRef& ref, const Copy& copy) {
      return add_row(*checkpoint, ref, copy);
    });
  }

  void finish() {
    for (auto& [pack, rows] : rows_) {
      for (auto& [place, row] : rows) lost_.packs[pack].push_back(std::move(row));
    }
  }

 private:
  Status add_row(Checkpoint& checkpoint, const CopyRef& ref, const Copy& copy) {
    if (!lost_.packs.contains(copy.pack)) return {};
    const auto [at, fresh] = rows_[copy.pack].try_emplace(place_of(copy));
    if (!fresh) return {};
    PackedCopy row{{}, copy.offset,    copy.stored_bytes, copy.decoded_bytes, copy.encoding,
                   {}, copy.parameters};
    CAIRN_TRY(row.digest, digest_of(checkpoint, ref));
    for (const BaseRef& base : copy.bases) {
      CAIRN_TRY(const CopyRef below, checkpoint.page_numbers().resolve(base));
      CAIRN_TRY(row.bases.emplace_back(), digest_of(checkpoint, below));
    }
    at->second = std::move(row);
    return {};
  }

  static Result<Digest> digest_of(Checkpoint& checkpoint, const CopyRef& ref) {
    CAIRN_TRY(const auto page, checkpoint.page(ref.page));
    CAIRN_CHECK(check_slot(ref, page->locator));
    return page->digest_of(ref.slot);
  }

  const Store& store_;
  LostTables& lost_;
  std::set<Reference> seen_tables_;
  std::map<FileId, std::map<CopyPlace, PackedCopy>> rows_;
};

}  // namespace

static bool has_lost_table(const Store& store, const StoredFile& file) {
  const auto is_corrupt = [](const auto& rows) {
    return !rows && rows.error().code == Code::kCorrupt;
  };
  return file.kind == FileKind::kPack
             ? is_corrupt(list_copies(store.fs(), store.path(), file.file))
             : is_corrupt(list_objects(store.fs(), store.path(), file.file));
}

Result<LostTables> find_lost_tables(const Store& store, const Survey& survey,
                                    const FileMarks& protect, unsigned threads) {
  LostTables lost;
  std::mutex mutex;
  CAIRN_CHECK(parallel_for(survey.files.size(), threads, [&](uint64_t number) -> Status {
    const StoredFile& file = survey.files[number];
    if (!survey.marks.is_needed(file) || protect.is_needed(file)) return {};
    if (!has_lost_table(store, file)) return {};
    const std::lock_guard lock(mutex);
    if (file.kind == FileKind::kPack) {
      lost.packs[file.file];
    } else {
      lost.metas.insert(file.file);
    }
    return {};
  }));
  if (lost.packs.empty()) return lost;
  LostRows rows(store, lost);
  for (const TagEntry& tag : survey.list.tags) {
    const Status added = rows.add_tag(tag);
    if (!added && added.error().code != Code::kCorrupt) return tl::unexpected(added.error());
  }
  rows.finish();
  return lost;
}

}  // namespace cairn
