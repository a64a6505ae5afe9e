#include "store/ballast.h"

#include <algorithm>
#include <array>

#include "base/random.h"

namespace cairn {

static std::string ballast_path(const std::string& store_path) {
  return join_path(store_path, "ballast");
}

Status make_ballast(Fs& fs, const std::string& store_path) {
  const std::string path = ballast_path(store_path);
  if (fs.conditional() != nullptr || file_exists(fs, path)) return {};  // a bucket is never full
  // Random, since file systems may store zeros, and equal blocks, in no room at all.
  Bytes bytes(kBallastBytes);
  CAIRN_CHECK(random_bytes(bytes));
  const Status made = write_new_file(fs, path, bytes);
  if (!made && file_exists(fs, path)) (void)fs.remove(path).has_value();
  return made;
}

/// False when there was nothing to remove, or it is in use.
static bool give_up_ballast(const Store& store) {
  return store.fs().remove(ballast_path(store.path())).has_value();
}

/// Only what RocksDB has made, and only in the store itself. In the order of names the tables go
/// before what names them: what a crash leaves of it is no index that answers.
static bool give_up_index(const Store& store) {
  Fs& fs = store.fs();
  const std::string folder = join_path(store.path(), "index");
  const auto is_written = fs.is_marked_alive(join_path(folder, "LOCK"));
  const auto siblings = fs.list(store.path());
  const auto files = fs.list(folder);
  if (!is_written || *is_written || !siblings || !files) return false;
  const bool is_own = std::any_of(siblings->begin(), siblings->end(), [](const FolderEntry& each) {
    return each.name == "index" && each.is_folder && !each.is_link;
  });
  bool is_less = false;
  for (const FolderEntry& file : *files) {
    if (!is_own || file.is_folder || file.is_link) continue;
    is_less = fs.remove(join_path(folder, file.name)).has_value() || is_less;
  }
  if (is_less) (void)fs.remove(folder).has_value();
  return is_less;
}

Status with_ballast(const Store& store, const std::function<Status()>& change) {
  Status changed = change();
  for (const auto give_up : {give_up_ballast, give_up_index}) {
    if (changed || changed.error().code != Code::kNoSpace) break;
    if (!give_up(store)) continue;
    changed = change();
    // The room of the root that was replaced may be enough for it.
    if (changed) (void)make_ballast(store.fs(), store.path()).has_value();
  }
  return changed;
}

}  // namespace cairn
