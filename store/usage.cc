#include "store/usage.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "store/bases.h"
#include "store/file_list.h"
#include "store/pack_table.h"

namespace cairn {
namespace {

struct DigestHash {
  size_t operator()(const Digest& digest) const noexcept {
    return load_le<uint64_t>(digest.bytes, 0);
  }
};
struct PlaceHash {
  size_t operator()(const std::pair<FileId, uint64_t>& place) const noexcept {
    return std::hash<FileId>()(place.first) * 31 + place.second;
  }
};

class UsageCounter {
 public:
  UsageCounter(const Store& store, const DescribeTensor& describe, const std::atomic<bool>* stop)
      : store_(store), describe_(describe), stop_(stop) {}

  Result<StoreUsage> run(const TagList& tags) {
    usage_.tags = tags.tags.size();
    for (const TagEntry& tag : tags.tags) {
      CAIRN_TRY(const auto checkpoint, Checkpoint::open(store_, tag));
      CAIRN_CHECK(count_tag(*checkpoint));
    }
    count_history();
    CAIRN_CHECK(count_packs());
    CAIRN_CHECK(count_metas());
    CAIRN_TRY(usage_.disk_bytes, folder_bytes(store_.fs(), store_.path()));
    for (const auto& [name, of_class] : usage_.by_class) {
      usage_.stored_bytes += of_class.stored_bytes;
    }
    return std::move(usage_);
  }

 private:
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
      if (stop_ != nullptr && *stop_) return fail(Code::kCancelled, "the count was stopped");
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
      if (ref.page >= table.pages.size()) bases_.try_emplace({copy.pack, copy.offset}, copy);
      return {};
    });
  }

  void count_history() {
    for (const auto& [place, copy] : bases_) {
      if (copy.stored_bytes == 0 || !copies_.insert(place).second) continue;
      EncodingUsage& of_encoding = usage_.by_encoding[std::string(encoding_name(copy.encoding))];
      ++of_encoding.chunks;
      of_encoding.decoded_bytes += copy.decoded_bytes;
      of_encoding.stored_bytes += copy.stored_bytes;
      usage_.by_class["history"].stored_bytes += copy.stored_bytes;
    }
  }

  /// Counts the bytes of tensors; returns the class of each item.
  Result<std::vector<ClassUsage*>> count_items(const Checkpoint& checkpoint) {
    CAIRN_TRY(const Layout layout, checkpoint.layout());
    usage_.tensors += checkpoint.schema().tensors.size();
    std::vector<ClassUsage*> classes;
    classes.reserve(checkpoint.item_count());
    for (size_t item = 0; item < checkpoint.item_count(); ++item) {
      TensorFacts facts{"attachment", 0};
      if (checkpoint.is_tensor(item)) {
        CAIRN_TRY(facts, describe_(checkpoint, layout, item));
      }
      usage_.logical_bytes += facts.bytes;
      ClassUsage& of_class = usage_.by_class[facts.tensor_class];
      of_class.logical_bytes += facts.bytes;
      classes.push_back(&of_class);
    }
    return classes;
  }

  Status count_page(Checkpoint& checkpoint, size_t number,
                    const std::vector<ClassUsage*>& classes) {
    CAIRN_TRY(const auto page, checkpoint.page(number));
    for (const PageRun& run : checkpoint.plan().pages[number]) {
      for (size_t entry = run.first_entry; entry < run.first_entry + run.chunk_count; ++entry) {
        count_chunk(page->page.entries[entry], page->copies(entry), *classes[run.item]);
      }
    }
    return {};
  }

  void count_chunk(const ChunkEntry& entry, std::span<const Copy> copies, ClassUsage& of_class) {
    for_each_stored(entry, copies, [&](const Digest& digest, const Copy& copy) {
      count_copy(digest, copy, of_class);
    });
    if (const auto* bytes = std::get_if<Bytes>(&entry)) count_inline(*bytes, of_class);
  }

  void count_inline(const Bytes& bytes, ClassUsage& of_class) {
    if (!is_new_chunk(blake3(bytes), bytes.size())) return;
    EncodingUsage& of_encoding = usage_.by_encoding["inline"];
    ++of_encoding.chunks;
    of_encoding.decoded_bytes += bytes.size();
    of_encoding.stored_bytes += bytes.size();
    of_class.stored_bytes += bytes.size();
    inline_bytes_ += bytes.size();
  }

  bool is_new_chunk(const Digest& digest, uint64_t decoded_bytes) {
    if (!chunks_.insert(digest).second) return false;
    ++usage_.chunks;
    usage_.unique_bytes += decoded_bytes;
    return true;
  }

  void count_copy(const Digest& digest, const Copy& copy, ClassUsage& of_class) {
    EncodingUsage& of_encoding = usage_.by_encoding[std::string(encoding_name(copy.encoding))];
    if (is_new_chunk(digest, copy.decoded_bytes)) {
      ++of_encoding.chunks;
      of_encoding.decoded_bytes += copy.decoded_bytes;
    }
    // A copy without stored bytes (zeros) lies where the next one does.
    if (copy.stored_bytes == 0 || !copies_.insert({copy.pack, copy.offset}).second) return;
    of_encoding.stored_bytes += copy.stored_bytes;
    of_class.stored_bytes += copy.stored_bytes;
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
      if (!copies_.contains({pack, row.offset})) usage_.dead_bytes += row.stored_bytes;
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
      usage_.by_class["metadata"].stored_bytes = bytes - std::min(bytes, inline_bytes_);
    return {};
  }

  const Store& store_;
  const DescribeTensor& describe_;
  const std::atomic<bool>* stop_;
  StoreUsage usage_;
  uint64_t inline_bytes_ = 0;
  std::set<FileId> metas_;
  std::set<PagePlace> places_;
  std::unordered_set<Digest, DigestHash> chunks_;
  std::unordered_set<std::pair<FileId, uint64_t>, PlaceHash> copies_;
  std::unordered_map<std::pair<FileId, uint64_t>, Copy, PlaceHash> bases_;
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
