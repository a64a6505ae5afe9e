// Replacing the root, in order:
//   1. take `lock`, so that no one else is between 2 and 5
//   2. read `root`: what any earlier commit, forget or gc left
//   3. let the caller check and edit; a refusal leaves everything as it was
//   4. write `root.<session>` and sync it; a crash here leaves a file that means nothing
//   5. rename it to `root`: the instant at which the change is visible
//   6. sync the folder: from here the change survives a power cut
//   7. give `lock` back
// Where files are replaced by version, steps 1 and 4 to 7 are one request: a root of the version
// that was read is replaced. When another was first, all begins anew; when the answer is lost, the
// root that is there tells.
#include "store/root.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/stop.h"

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

static Result<Bytes> encode_bounded(const Root& root) {
  Bytes bytes = encode_root(root);
  if (bytes.size() <= kRootBytesMax) return bytes;
  return fail(Code::kFailed, fmt::format("the root would have {} bytes, more than the {} allowed",
                                         bytes.size(), kRootBytesMax));
}

static Status change_by_version(ConditionalFiles& files, const std::string& path, const Wait& wait,
                                const std::function<Result<RootChange>(Root&)>& change,
                                bool& may_be_visible) {
  const Stopwatch watch;
  for (;;) {
    CAIRN_TRY(const VersionedBytes standing, files.read(path, kRootBytesMax));
    CAIRN_TRY(Root root, decode_root(standing.bytes, path));
    CAIRN_TRY(const RootChange wanted, change(root));
    if (wanted == RootChange::kKeep) {
      may_be_visible = true;
      return {};
    }
    CAIRN_TRY(const Bytes bytes, encode_bounded(root));
    bool may_be_done = false;
    const Status replaced = files.replace(path, standing.version, bytes, may_be_done);
    may_be_visible = may_be_visible || replaced || may_be_done;
    if (replaced) return {};
    if (may_be_done) {
      const auto now = files.read(path, kRootBytesMax);
      if (now && now->bytes == bytes) return {};
    }
    // Refused because another was first, or answered so after the answer to a success was lost:
    // `change` knows its own work when it sees it.
    if (replaced.error().code != Code::kExists && !may_be_done) return replaced;
    if (is_stopped(wait.stop)) return fail(Code::kCancelled, "stopped by the caller");
    if (watch.seconds() * 1000 > static_cast<double>(wait.limit.count())) {
      return fail(Code::kBusy, fmt::format("'{}' was replaced by others again and again", path),
                  "try again");
    }
  }
}

Status change_root(Fs& fs, const std::string& store_path, const SessionId& writer, const Wait& wait,
                   const std::function<Result<RootChange>(Root&)>& change, bool& may_be_visible) {
  may_be_visible = false;
  if (ConditionalFiles* const files = fs.conditional()) {
    return change_by_version(*files, join_path(store_path, "root"), wait, change, may_be_visible);
  }
  CAIRN_TRY(const auto lock, fs.lock(join_path(store_path, "lock"), wait));
  CAIRN_TRY(Root root, read_root(fs, store_path));
  CAIRN_TRY(const RootChange wanted, change(root));
  if (wanted == RootChange::kKeep) {
    // Whoever put it there may have died before step 6.
    may_be_visible = true;
    return fs.sync_folder(store_path);
  }
  const std::string temporary = join_path(store_path, "root." + writer.hex());
  CAIRN_TRY(const Bytes bytes, encode_bounded(root));
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
