#include "lib/salvage.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <tuple>

#include "base/clock.h"
#include "store/distrust.h"
#include "store/file_list.h"
#include "store/forget.h"
#include "store/meta_pack.h"
#include "store/pack_table.h"
#include "store/root.h"
#include "store/writable.h"

namespace cairn {

using nlohmann::ordered_json;

/// The time, and something that no other file has, as part of a file's name.
static Result<std::string> unique_name() {
  CAIRN_TRY(const SessionId unique, SessionId::fresh());
  std::string time = format_rfc3339(now_ns());
  std::replace(time.begin(), time.end(), ':', '-');
  return fmt::format("{}-{}", time, unique.hex().substr(0, 8));
}

static ordered_json describe(const TagEntry& tag, const std::vector<Damage>& damage) {
  ordered_json row = {{"tag", tag.name},
                      {"manifest", tag.manifest.digest.hex()},
                      {"created", format_rfc3339(tag.created_ns)},
                      {"pinned", tag.pinned},
                      {"entry", to_hex(encode_tag_entry(tag))},
                      {"damage", ordered_json::array()}};
  for (const Damage& each : damage) {
    if (each.tag != tag.name) continue;
    row["damage"].push_back({{"kind", each.kind},
                             {"tensor", each.tensor},
                             {"pack", each.pack},
                             {"message", each.message}});
  }
  return row;
}

static std::set<FileId> packs_with_bad_bytes(const std::vector<Damage>& damage) {
  std::set<FileId> packs;
  for (const Damage& each : damage) {
    const auto pack = FileId::parse(std::string_view(each.pack).substr(each.pack.rfind('/') + 1));
    if (each.kind == "data" && pack) packs.insert(*pack);
  }
  return packs;
}

Result<std::string> set_tags_aside(const Store& store, const std::vector<TagEntry>& tags,
                                   const std::vector<Damage>& damage, const Wait& wait) {
  CAIRN_CHECK(check_may_write(store));
  ordered_json list = ordered_json::array();
  for (const TagEntry& tag : tags) list.push_back(describe(tag, damage));
  const std::string folder = join_path(store.path(), "set-aside");
  CAIRN_CHECK(store.fs().make_folders(folder));
  CAIRN_TRY(const std::string name, unique_name());
  const std::string path = join_path(folder, name + ".json");
  const std::string text =
      list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  CAIRN_CHECK(write_new_file(store.fs(), path, as_bytes(text)));
  // All of this is durable before a tag goes: what is saved anew must not come to lie on the same
  // bad copies.
  CAIRN_CHECK(distrust_packs(store, packs_with_bad_bytes(damage)));
  CAIRN_CHECK(forget_tags(store, tags, true, wait));
  return path;
}

/// Adds the tag entries that lie in a metadata pack, and those of tag tables.
static Status add_entries(const Store& store, const FileId& meta, std::vector<TagEntry>& entries) {
  CAIRN_TRY(const auto objects, list_objects(store.fs(), store.path(), meta));
  for (const PackedObject& object : objects) {
    const bool is_table = object.kind == ObjectKind::kTagTable;
    if (!is_table && object.kind != ObjectKind::kTagEntry) continue;
    const Reference reference{meta, object.offset, object.bytes, object.digest};
    CAIRN_TRY(const Bytes bytes, read_object(store.meta_files(), reference));
    if (is_table) {
      CAIRN_TRY(const auto table, decode_tag_table(bytes));
      entries.insert(entries.end(), table.begin(), table.end());
    } else {
      CAIRN_TRY(entries.emplace_back(), decode_tag_entry(bytes));
    }
  }
  return {};
}

/// What the tag lacks of its metadata and packs; nullopt when it is whole.
static Result<std::optional<std::string>> find_lack(const Store& store, const TagEntry& tag) {
  CheckRequest request;
  request.tags = {tag};
  request.must_settle = true;
  CAIRN_TRY(const CheckReport report, check(store, request));
  // A load does without the tables of packs.
  const auto lack = std::find_if(report.damage.begin(), report.damage.end(),
                                 [](const Damage& damage) { return damage.kind != "pack-table"; });
  if (lack == report.damage.end()) return std::optional<std::string>();
  return std::optional(lack->message);
}

namespace {

/// What the root and the tag tables say as far as they are not damaged.
class RootRemains {
 public:
  /// Errors: what could not be read and is not damaged.
  static Result<RootRemains> read(const Store& store) {
    RootRemains remains;
    const auto root = read_root(store.fs(), store.path());
    if (!root && !is_loss(root.error())) return tl::unexpected(root.error());
    if (!root) return remains;
    remains.commit_ = root->commit;
    for (const TagEntry& entry : root->entries) remains.own_.insert(entry.name);
    for (const TagTableRef& table : root->tables) {
      auto tags = TagBook(store.meta_files(), root_of(*root, {table})).list();
      if (!tags && !is_loss(tags.error())) return tl::unexpected(tags.error());
      remains.is_lost_[table.first_name] = !tags;
      if (tags) remains.take(*std::move(tags));
    }
    CAIRN_TRY(TagList own, TagBook(store.meta_files(), root_of(*root, {})).list());
    auto& standing = remains.standing_;
    standing.insert(standing.end(), own.tags.begin(), own.tags.end());
    return remains;
  }

  std::optional<uint64_t> commit() const { return commit_; }
  const std::vector<TagEntry>& standing() const { return standing_; }

  /// Whether a tag of this name may have stood in what is lost.
  bool leaves_open(const std::string& name) const {
    if (!commit_) return true;
    if (own_.contains(name) || is_lost_.empty()) return false;
    const auto after = is_lost_.upper_bound(name);
    return after == is_lost_.begin() ? after->second : std::prev(after)->second;
  }

 private:
  static Root root_of(const Root& root, std::vector<TagTableRef> tables) {
    Root part;
    part.tables = std::move(tables);
    if (part.tables.empty()) part.entries = root.entries;
    return part;
  }
  void take(TagList list) {
    for (TagEntry& tag : list.tags) {
      if (!own_.contains(tag.name)) standing_.push_back(std::move(tag));
    }
  }

  std::optional<uint64_t> commit_;
  std::set<std::string> own_;            // names in the root itself, removed ones too
  std::map<std::string, bool> is_lost_;  // tables by first name
  std::vector<TagEntry> standing_;
};

}  // namespace

/// The entries in the metadata packs that may have stood in what is lost, by name, the latest of
/// each name first.
static Result<std::vector<TagEntry>> gather_entries(const Store& store, const RootRemains& remains,
                                                    std::vector<std::string>& damaged) {
  std::vector<TagEntry> entries;
  CAIRN_TRY(const auto files, list_files(store));
  for (const StoredFile& file : files) {
    if (file.kind != FileKind::kMeta) continue;
    const Status added = add_entries(store, file.file, entries);
    if (added) continue;
    if (!is_loss(added.error())) return tl::unexpected(added.error());
    damaged.push_back(fmt::format("'{}': {}", file.path(), added.error().message));
  }
  std::erase_if(entries, [&](const TagEntry& entry) {
    return entry.removed || !remains.leaves_open(entry.name);
  });
  // Thinning keeps the time and the commit, and what it dropped shall stay dropped.
  const auto age = [](const TagEntry& entry) {
    return std::tuple(entry.created_ns, entry.commit, entry.facts.dropped_tensors);
  };
  std::stable_sort(entries.begin(), entries.end(), [&](const TagEntry& a, const TagEntry& b) {
    return std::tuple(a.name, age(b)) < std::tuple(b.name, age(a));
  });
  return entries;
}

/// Of the entries of one name the first that is whole. Those before it are of saves that lost data
/// or were collected, or of places that gc has left.
static Status salvage_name(const Store& store, std::span<const TagEntry> entries,
                           SalvagedRoot& found) {
  std::optional<std::string> first_lack;
  std::set<Digest> seen;  // a tag table repeats what the save has written
  for (const TagEntry& entry : entries) {
    if (!seen.insert(blake3(encode_tag_entry(entry))).second) continue;
    CAIRN_TRY(auto lack, find_lack(store, entry));
    if (!lack) {
      found.tags.push_back(entry);
      return {};
    }
    if (!first_lack) first_lack = std::move(lack);
  }
  found.lost.push_back({entries.front().name, *first_lack});
  return {};
}

Result<std::unique_ptr<FileLock>> lock_collections(const Store& store, const Wait& wait) {
  return store.fs().lock(join_path(store.path(), "gc.lock"), wait);
}

Result<SalvagedRoot> find_tags(const Store& store) {
  SalvagedRoot found;
  CAIRN_TRY(const RootRemains remains, RootRemains::read(store));
  found.commit = remains.commit();
  found.tags = remains.standing();
  CAIRN_TRY(const auto entries, gather_entries(store, remains, found.damaged));
  for (auto first = entries.begin(); first != entries.end();) {
    const auto last = std::find_if(
        first, entries.end(), [&](const TagEntry& entry) { return entry.name != first->name; });
    CAIRN_CHECK(salvage_name(store, {first, last}, found));
    first = last;
  }
  std::sort(found.tags.begin(), found.tags.end(), [](const TagEntry& a, const TagEntry& b) {
    return std::tuple(a.created_ns, a.name) < std::tuple(b.created_ns, b.name);
  });
  return found;
}

/// A root of the salvaged tags alone.
static Root new_root(const Store& store, const std::vector<TagEntry>& tags) {
  Root root;
  root.store_id = store.config().store_id;
  // Larger than any number that the lost root can have had: it counted changes, one at a time.
  root.commit = root.epoch = static_cast<uint64_t>(now_ns()) / 1'000'000;
  for (TagEntry tag : tags) {
    tag.commit = ++root.commit;
    root.entries.push_back(std::move(tag));
  }
  return root;
}

/// What is left of the root, out of the way of the new one.
static Status keep_damaged(Fs& fs, const std::string& path, const std::string& kept_path) {
  const auto info = fs.info(path);
  if (info) return fs.rename(path, kept_path);
  return info.error().code == Code::kNotFound ? Status() : tl::unexpected(info.error());
}

Status put_salvaged_root(const Store& store, const SalvagedRoot& salvaged, const FileLock&,
                         const Wait& wait) {
  CAIRN_CHECK(check_may_write(store));
  Fs& fs = store.fs();
  CAIRN_TRY(const auto lock, fs.lock(join_path(store.path(), "lock"), wait));
  const std::string path = join_path(store.path(), "root");
  CAIRN_TRY(const std::string name, unique_name());
  const std::string kept_path = path + ".damaged-" + name;
  auto root = read_root(fs, store.path());
  if (!root && !is_loss(root.error())) return tl::unexpected(root.error());
  if (root) {
    const auto list = TagBook(store.meta_files(), *root).list();
    if (list) return fail(Code::kExists, fmt::format("'{}' is sound", path), "nothing was changed");
    if (!is_loss(list.error())) return tl::unexpected(list.error());
    if (root->commit != salvaged.commit) {
      return fail(Code::kBusy, fmt::format("'{}' was replaced meanwhile", path), "try again");
    }
    CAIRN_CHECK(write_new_file(fs, kept_path, encode_root(*root)));
    root->tables.clear();
    root->condemned.clear();        // by the next collection, if they are needless still
    root->entries = salvaged.tags;  // their commit numbers were given by this root's ancestors
    ++root->commit;
  } else {
    CAIRN_CHECK(keep_damaged(fs, path, kept_path));
    root = new_root(store, salvaged.tags);
  }
  CAIRN_TRY(const SessionId writer, SessionId::fresh());
  return replace_file(fs, path, path + "." + writer.hex(), encode_root(*root));
}

}  // namespace cairn
