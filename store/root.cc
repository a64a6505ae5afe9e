// Replacing the root, in order:
//   1. take `lock`, so that no one else is between 2 and 5
//   2. read `root`: what any earlier commit, forget or gc left
//   3. let the caller check and edit; a refusal leaves everything as it was
//   4. write `root.<session>` and sync it; a crash here leaves a file that means nothing
//   5. rename it to `root`: the instant at which the change is visible
//   6. sync the folder: from here the change survives a power cut
//   7. give `lock` back
#include "store/root.h"

#include <fmt/format.h>

namespace cairn {

static constexpr uint64_t kRootBytesMax = kGiB;

Result<Root> read_root(Fs& fs, const std::string& store_path) {
  const std::string path = join_path(store_path, "root");
  auto bytes = read_file(fs, path, kRootBytesMax);
  if (!bytes) {
    if (bytes.error().code != Code::kNotFound) return tl::unexpected(bytes.error());
    return fail(Code::kCorrupt, fmt::format("'{}' is missing", path));
  }
  return decode_root(*bytes, path);
}

Status change_root(Fs& fs, const std::string& store_path, const SessionId& writer, const Wait& wait,
                   const std::function<Result<RootChange>(Root&)>& change, bool& may_be_visible) {
  may_be_visible = false;
  CAIRN_TRY(const auto lock, fs.lock(join_path(store_path, "lock"), wait));
  CAIRN_TRY(Root root, read_root(fs, store_path));
  CAIRN_TRY(const RootChange wanted, change(root));
  if (wanted == RootChange::kKeep) {
    // Whoever put it there may have died before step 6.
    may_be_visible = true;
    return fs.sync_folder(store_path);
  }
  const std::string temporary = join_path(store_path, "root." + writer.hex());
  const Bytes bytes = encode_root(root);
  if (bytes.size() > kRootBytesMax) {
    return fail(Code::kFailed, fmt::format("the root would have {} bytes, more than the {} allowed",
                                           bytes.size(), kRootBytesMax));
  }
  Status written = create_and_sync(fs, temporary, bytes);
  if (!written) {
    if (file_exists(fs, temporary)) (void)fs.remove(temporary).has_value();
    return written;
  }
  const Status renamed = fs.rename(temporary, join_path(store_path, "root"));
  if (!renamed) {
    // The answer may be lost and not the rename. Who can still remove the file knows that the
    // rename has not happened and never will.
    may_be_visible = !fs.remove(temporary).has_value();
    return renamed;
  }
  may_be_visible = true;
  return fs.sync_folder(store_path);
}

}  // namespace cairn
