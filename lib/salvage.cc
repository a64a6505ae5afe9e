#include "lib/salvage.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/clock.h"
#include "store/file_list.h"
#include "store/forget.h"
#include "store/meta_pack.h"
#include "store/pack_table.h"
#include "store/root.h"

namespace cairn {

using nlohmann::ordered_json;

/// A time as part of a file's name.
static std::string time_name() {
  std::string name = format_rfc3339(now_ns());
  std::replace(name.begin(), name.end(), ':', '-');
  return name;
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

Result<std::string> set_tags_aside(const Store& store, const std::vector<TagEntry>& tags,
                                   const std::vector<Damage>& damage, const Wait& wait) {
  ordered_json list = ordered_json::array();
  for (const TagEntry& tag : tags) list.push_back(describe(tag, damage));
  const std::string folder = join_path(store.path(), "set-aside");
  CAIRN_CHECK(store.fs().make_folders(folder));
  CAIRN_TRY(const SessionId unique, SessionId::fresh());
  const std::string path =
      join_path(folder, fmt::format("{}-{}.json", time_name(), unique.hex().substr(0, 8)));
  const std::string text =
      list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  CAIRN_CHECK(write_new_file(store.fs(), path, as_bytes(text)));
  // The list is durable before a tag goes.
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

/// Whether all metadata of the tag can be read, and its packs are there.
static bool is_whole(const Store& store, const TagEntry& tag) {
  CheckRequest request;
  request.tags = {tag};
  const auto report = check(store, request);
  return report && report->damage.empty();
}

Result<SalvagedRoot> find_tags(const Store& store) {
  SalvagedRoot found;
  std::vector<TagEntry> entries;
  CAIRN_TRY(const auto files, list_files(store));
  for (const StoredFile& file : files) {
    if (file.kind != FileKind::kMeta) continue;
    const Status added = add_entries(store, file.file, entries);
    if (!added)
      found.damaged.push_back(fmt::format("'{}': {}", file.path(), added.error().message));
  }
  std::sort(entries.begin(), entries.end(), [](const TagEntry& a, const TagEntry& b) {
    return std::tuple(a.name, a.created_ns, a.commit) < std::tuple(b.name, b.created_ns, b.commit);
  });
  std::map<std::string, TagEntry> latest;
  for (const TagEntry& entry : entries) {
    // An entry that is not whole is of a save that was collected, or of a place that gc has left.
    if (!entry.removed && is_whole(store, entry)) latest[entry.name] = entry;
  }
  for (const auto& [name, entry] : latest) found.tags.push_back(entry);
  std::sort(found.tags.begin(), found.tags.end(), [](const TagEntry& a, const TagEntry& b) {
    return std::tuple(a.created_ns, a.name) < std::tuple(b.created_ns, b.name);
  });
  return found;
}

Status put_salvaged_root(const Store& store, const std::vector<TagEntry>& tags, const Wait& wait) {
  Fs& fs = store.fs();
  CAIRN_TRY(const auto lock, fs.lock(join_path(store.path(), "lock"), wait));
  const std::string path = join_path(store.path(), "root");
  if (read_root(fs, store.path())) {
    return fail(Code::kExists, fmt::format("'{}' is sound", path), "nothing was changed");
  }
  Root root;
  root.store_id = store.config().store_id;
  // Larger than any number that the lost root can have had: it counted changes, one at a time.
  root.commit = root.epoch = static_cast<uint64_t>(now_ns()) / 1'000'000;
  for (TagEntry tag : tags) {
    tag.commit = ++root.commit;
    root.entries.push_back(std::move(tag));
  }
  if (file_exists(fs, path)) {
    CAIRN_CHECK(fs.rename(path, path + ".damaged-" + time_name()));
  }
  CAIRN_TRY(const SessionId writer, SessionId::fresh());
  return replace_file(fs, path, path + "." + writer.hex(), encode_root(root));
}

}  // namespace cairn
