#include "store/ballast.h"

#include "base/random.h"

namespace cairn {

static std::string ballast_path(const std::string& store_path) {
  return join_path(store_path, "ballast");
}

Status make_ballast(Fs& fs, const std::string& store_path) {
  const std::string path = ballast_path(store_path);
  if (file_exists(fs, path)) return {};
  // Random, since file systems may store zeros, and equal blocks, in no room at all.
  Bytes bytes(kBallastBytes);
  CAIRN_CHECK(random_bytes(bytes));
  const Status made = write_new_file(fs, path, bytes);
  if (!made && file_exists(fs, path)) (void)fs.remove(path).has_value();
  return made;
}

Status with_ballast(const Store& store, const std::function<Status()>& change) {
  const Status changed = change();
  if (changed || changed.error().code != Code::kNoSpace) return changed;
  const Status released = store.fs().remove(ballast_path(store.path()));
  if (!released) return changed;
  return change();
}

}  // namespace cairn
