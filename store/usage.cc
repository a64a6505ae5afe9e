#include "store/usage.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/stop.h"
#include "store/bases.h"
#include "store/copy_counter.h"
#include "store/file_list.h"
#include "store/pack_table.h"

namespace cairn {
namespace {

/// A copy that others are made from, and the first tag that needs it.
struct NotedBase {
  Copy copy;
  TagUsage* tag = nullptr;
};

class UsageCounter {
 public:
  UsageCounter(const Store& store, const DescribeTensor& describe, const std::atomic<bool>* stop)
      : store_(store), describe_(describe), stop_(stop) {}

  Result<StoreUsage> run(const TagList& tags) {
    usage_.tags = tags.tags.size();
    for (const TagEntry* tag : in_commit_order(tags)) {
      CAIRN_TRY(const auto checkpoint, Checkpoint::open(store_, *tag));
      tag_ = &usage_.by_tag[tag->name];
      CAIRN_CHECK(count_tag(*checkpoint));
    }
    count_history();
    usage_.chunks = counter_.chunks();
    usage_.unique_bytes = counter_.decoded_bytes();
    CAIRN_CHECK(count_packs());
    CAIRN_CHECK(count_metas());
    CAIRN_TRY(usage_.disk_bytes, folder_bytes(store_.fs(), store_.path()));
    for (const auto& [name, of_class] : usage_.by_class) {
      usage_.stored_bytes += of_class.stored_bytes;
    }
    return std::move(usage_);
  }

 private:
  static std::vector<const TagEntry*> in_commit_order(const TagList& tags) {
    std::vector<const TagEntry*> order;
    for (const TagEntry& tag : tags.tags) order.push_back(&tag);
    std::stable_sort(order.begin(), order.end(),
                     [](const TagEntry* a, const TagEntry* b) { return a->commit < b->commit; });
    return order;
  }

  Status count_tag(Checkpoint& checkpoint) {
    const TagEntry& tag = checkpoint.tag();
    for (const Reference* reference : {&tag.manifest, &tag.schema, &tag.table}) {
      metas_.insert(reference->file);
    }
    if (tag.layout) metas_.insert(tag.layout->file);
    const LocatorTable& table = checkpoint.table();
    for (size_t page = 0; page < table.page_count(); ++page) {
      metas_.insert({table.place(page).page.file, table.place(page).locator.file});
    }
    CAIRN_TRY(const auto classes, count_items(checkpoint));
    for (size_t page = 0; page < checkpoint.table().pages.size(); ++page) {
      CAIRN_CHECK(unless_stopped(stop_, "the count"));
      // Tags share the pages in which nothing changed: what those hold is counted already.
      if (!places_.insert(checkpoint.table().pages[page]).second) continue;
      CAIRN_CHECK(count_page(checkpoint, page, classes));
    }
    return table.closure.empty() ? Status() : note_bases(checkpoint);
  }

  /// What the tag's copies are made from: other tags' copies, or of tags that are forgotten.
  Status note_bases(Checkpoint& checkpoint) {
    const LocatorTable& table = checkpoint.table();
    const auto read = [&](size_t number) -> Result<Locator> {
      CAIRN_TRY(const auto page, checkpoint.page(number));
      return page->locator;
    };
    return for_each_needed(table, read, [&](const CopyRef& ref, const Copy& copy) -> Status {
      tag_->read[copy.encoding] += EncodingUsage::of(copy);
      // One of zeros lies where the next one does, and takes nothing.
      if (ref.page >= table.pages.size() && copy.stored_bytes != 0) {
        bases_.try_emplace({copy.pack, copy.offset}, NotedBase{copy, tag_});
      }
      return {};
    });
  }

  void count_history() {
    for (const auto& [spot, base] : bases_) {
      tag_ = base.tag;
      count(std::string(kHistoryClass), base.copy.encoding, counter_.add_base(base.copy));
    }
  }

  void count(const std::string& class_name, HeldAs held, const EncodingUsage& fresh) {
    if (fresh == EncodingUsage()) return;
    usage_.by_class[class_name].stored_bytes += fresh.stored_bytes;
    usage_.by_class_and_encoding[class_name][held] += fresh;
    tag_->added[held] += fresh;
  }

  /// Counts the bytes of tensors; returns the class of each item.
  Result<std::vector<std::string>> count_items(const Checkpoint& checkpoint) {
    CAIRN_TRY(const Layout layout, checkpoint.layout());
    usage_.tensors += checkpoint.schema().tensors.size();
    std::vector<std::string> classes;
    classes.reserve(checkpoint.item_count());
    for (size_t item = 0; item < checkpoint.item_count(); ++item) {
      TensorFacts facts{"attachment", 0};
      if (checkpoint.is_tensor(item)) {
        CAIRN_TRY(facts, describe_(checkpoint, layout, item));
      }
      usage_.logical_bytes += facts.bytes;
      usage_.by_class[facts.tensor_class].logical_bytes += facts.bytes;
      classes.push_back(std::move(facts.tensor_class));
    }
    return classes;
  }

  Status count_page(Checkpoint& checkpoint, size_t number,
                    const std::vector<std::string>& classes) {
    CAIRN_TRY(const auto page, checkpoint.page(number));
    for (const PageRun& run : checkpoint.plan().pages[number]) {
      for (size_t entry = run.first_entry; entry < run.first_entry + run.chunk_count; ++entry) {
        count_chunk(page->page.entries[entry], page->copies(entry), classes[run.item]);
      }
    }
    return {};
  }

  void count_chunk(const ChunkEntry& entry, std::span<const Copy> copies,
                   const std::string& class_name) {
    for_each_stored(entry, copies, [&](const Digest& digest, const Copy& copy) {
      count(class_name, copy.encoding, counter_.add(digest, copy));
    });
    if (const auto* bytes = std::get_if<Bytes>(&entry)) {
      count(class_name, std::nullopt, counter_.add_inline(*bytes));
    }
  }

  Status count_packs() {
    CAIRN_TRY(const auto files, list_files(store_));
    for (const StoredFile& file : files) {
      if (file.kind != FileKind::kPack) continue;
      ++usage_.packs;
      CAIRN_CHECK(count_pack(file.file));
    }
    return {};
  }

  Status count_pack(const FileId& pack) {
    const auto rows = list_copies(store_.fs(), store_.path(), pack);
    if (!rows) {
      // A save in progress, or a leftover: nothing in it is needed yet.
      const std::string path = join_path(store_.path(), relative_path(FileKind::kPack, pack));
      const auto info = store_.fs().info(path);
      if (info) usage_.dead_bytes += info->bytes;
      return {};
    }
    for (const PackedCopy& row : *rows) {
      if (!counter_.has({pack, row.offset})) usage_.dead_bytes += row.stored_bytes;
    }
    return {};
  }

  Status count_metas() {
    CAIRN_TRY(const TagBook book, store_.read_book());
    for (const TagTableRef& table : book.tables()) metas_.insert(table.table.file);
    uint64_t bytes = 0;
    for (const FileId& meta : metas_) {
      const std::string path = join_path(store_.path(), relative_path(FileKind::kMeta, meta));
      CAIRN_TRY(const FileInfo info, store_.fs().info(path));
      bytes += info.bytes;
    }
    if (bytes != 0)
      usage_.by_class["metadata"].stored_bytes = bytes - std::min(bytes, counter_.inline_bytes());
    return {};
  }

  const Store& store_;
  const DescribeTensor& describe_;
  const std::atomic<bool>* stop_;
  StoreUsage usage_;
  TagUsage* tag_ = nullptr;  // at hand
  CopyCounter counter_;
  std::set<FileId> metas_;
  std::set<PagePlace> places_;
  std::unordered_map<CopySpot, NotedBase, CopySpotHash> bases_;
};

}  // namespace

Result<uint64_t> folder_bytes(Fs& fs, const std::string& folder) {
  const auto entries = fs.list(folder);
  if (!entries && entries.error().code == Code::kNotFound) return uint64_t{0};
  if (!entries) return tl::unexpected(entries.error());
  uint64_t bytes = 0;
  for (const FolderEntry& entry : *entries) {
    const std::string path = join_path(folder, entry.name);
    if (entry.is_link) continue;  // takes no room here, and may lead round in a circle
    if (entry.is_folder) {
      CAIRN_TRY(const uint64_t below, folder_bytes(fs, path));
      bytes += below;
    } else if (const auto info = fs.info(path)) {  // else it went away meanwhile
      bytes += info->bytes;
    }
  }
  return bytes;
}

Result<StoreUsage> measure_usage(const Store& store, const TagList& tags,
                                 const DescribeTensor& describe, const std::atomic<bool>* stop) {
  return UsageCounter(store, describe, stop).run(tags);
}

}  // namespace cairn
