#include "store/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/clock.h"
#include "store/ballast.h"
#include "store/meta_pack.h"
#include "store/probe.h"

namespace cairn {

static constexpr uint64_t kConfigBytesMax = kMiB;

const TagEntry* TagList::find(std::string_view name) const {
  const auto found = std::lower_bound(
      tags.begin(), tags.end(), name,
      [](const TagEntry& entry, std::string_view wanted) { return entry.name < wanted; });
  return found != tags.end() && found->name == name ? &*found : nullptr;
}

const TagEntry* TagList::newest(std::string_view prefix) const {
  const TagEntry* newest = nullptr;
  for (const TagEntry& entry : tags) {
    if (!entry.name.starts_with(prefix)) continue;
    if (newest == nullptr || entry.commit > newest->commit) newest = &entry;
  }
  return newest;
}

Store::Store(Fs& fs, std::string path, Config config)
    : fs_(fs),
      path_(std::move(path)),
      config_(std::move(config)),
      meta_files_(std::make_unique<FilePool>(fs, path_, OpenMode::kRead)) {}

static Status refuse_occupied(Fs& fs, const std::string& path) {
  const auto entries = fs.list(path);
  if (!entries) {
    if (entries.error().code == Code::kNotFound && !file_exists(fs, path)) return {};
    return fail(entries.error().code == Code::kNotFound ? Code::kExists : entries.error().code,
                entries.error().message, "name an empty or a new folder");
  }
  for (const FolderEntry& entry : *entries) {
    if (entry.name == "config") {
      return fail(Code::kExists, fmt::format("'{}' is a store already", path));
    }
  }
  if (entries->empty()) return {};
  return fail(Code::kExists, fmt::format("'{}' is not empty", path),
              "name an empty or a new folder");
}

Status Store::init(Fs& fs, const std::string& path, const Config& wanted) {
  CAIRN_CHECK(check_config(wanted));
  CAIRN_CHECK(refuse_occupied(fs, path));
  CAIRN_CHECK(fs.make_folders(path));
  CAIRN_CHECK(probe_file_system(fs, path));
  Config config = wanted;
  CAIRN_TRY(config.store_id, SessionId::fresh());
  config.created = format_rfc3339(now_ns());
  for (const char* folder : {"meta", "packs", "sessions"}) {
    CAIRN_CHECK(fs.make_folders(join_path(path, folder)));
  }
  Root root;
  root.store_id = config.store_id;
  CAIRN_CHECK(make_ballast(fs, path));
  CAIRN_CHECK(write_new_file(fs, join_path(path, "lock"), {}));
  CAIRN_CHECK(write_new_file(fs, join_path(path, "root"), encode_root(root)));
  // The config comes last and at once: a folder with one is a whole store.
  CAIRN_CHECK(replace_file(fs, join_path(path, "config"), join_path(path, "config.new"),
                           as_bytes(encode_config(config))));
  return fs.sync_folder(parent_folder(path));
}

Result<std::unique_ptr<Store>> Store::open(Fs& fs, const std::string& path) {
  const std::string config_path = join_path(path, "config");
  const auto text = read_file(fs, config_path, kConfigBytesMax);
  if (!text && text.error().code == Code::kNotFound) {
    return fail(Code::kNoStore, fmt::format("there is no store at '{}'", path),
                fmt::format("make one with 'cairn init {}'", path));
  }
  if (!text) return tl::unexpected(text.error());
  CAIRN_TRY(Config config, decode_config(*text, config_path));
  return std::unique_ptr<Store>(new Store(fs, path, std::move(config)));
}

Result<TagList> Store::read_tags() const {
  CAIRN_TRY(const Root root, read_root(fs_, path_));
  if (root.store_id != config_.store_id) {
    return fail(Code::kCorrupt,
                fmt::format("'{}/root' belongs to another store than '{}/config'", path_, path_));
  }
  return tags_of(root);
}

static bool has_lesser_name(const TagEntry& a, const TagEntry& b) { return a.name < b.name; }

/// In name order; of entries of one name the last.
static void sort_by_name(std::vector<TagEntry>& entries) {
  if (!std::is_sorted(entries.begin(), entries.end(), has_lesser_name)) {
    std::stable_sort(entries.begin(), entries.end(), has_lesser_name);
  }
  size_t kept = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    const bool is_last = i + 1 == entries.size() || entries[i].name != entries[i + 1].name;
    if (!is_last) continue;
    if (kept != i) entries[kept] = std::move(entries[i]);
    ++kept;
  }
  entries.resize(kept);
}

/// Puts later entries over those there are. Tables hold very many tags: none is copied.
static void lay_over(std::vector<TagEntry>& tags, std::vector<TagEntry> later) {
  sort_by_name(later);
  const auto is_removed = [](const TagEntry& entry) { return entry.removed; };
  if (tags.empty()) {
    tags = std::move(later);
  } else {
    std::vector<TagEntry> merged;
    merged.reserve(tags.size() + later.size());
    auto old = tags.begin();
    for (TagEntry& entry : later) {
      while (old != tags.end() && old->name < entry.name) merged.push_back(std::move(*old++));
      if (old != tags.end() && old->name == entry.name) ++old;
      merged.push_back(std::move(entry));
    }
    merged.insert(merged.end(), std::make_move_iterator(old), std::make_move_iterator(tags.end()));
    tags = std::move(merged);
  }
  std::erase_if(tags, is_removed);
}

Result<TagList> Store::tags_of(const Root& root) const {
  TagList list{root.commit, {}};
  for (const TagTableRef& table : root.tables) {
    CAIRN_TRY(const Bytes bytes, read_object(*meta_files_, table.table));
    CAIRN_TRY(auto entries, decode_tag_table(bytes));
    lay_over(list.tags, std::move(entries));
  }
  lay_over(list.tags, root.entries);
  return list;
}

Result<TagEntry> Store::find_tag(std::string_view name) const {
  CAIRN_TRY(const TagList list, read_tags());
  if (const TagEntry* entry = list.find(name)) return *entry;
  return fail(Code::kNotFound, fmt::format("there is no tag '{}' in '{}'", name, path_),
              "'cairn ls' lists the tags");
}

}  // namespace cairn
