#include "store/probe.h"

#include <fmt/format.h>

#include <algorithm>

#include "store/file_id.h"

namespace cairn {

static constexpr std::string_view kPrefix = "probe.";

bool is_probe(std::string_view name) { return name.substr(0, kPrefix.size()) == kPrefix; }

static Status does_not(const std::string& folder, std::string_view what) {
  return fail(Code::kFailed, fmt::format("the file system of '{}' does not {}", folder, what),
              "put the store on a local file system, NFSv4 or Lustre");
}

static Status probe_locks(Fs& fs, const std::string& folder, const std::string& path) {
  CAIRN_TRY(const auto held, fs.lock(path, std::chrono::milliseconds(0)));
  const auto second = fs.lock(path, std::chrono::milliseconds(0));
  if (second) return does_not(folder, "keep a second locker out");
  if (second.error().code != Code::kBusy) return tl::unexpected(second.error());
  return {};
}

static Status probe_replacing(Fs& fs, const std::string& folder, const std::string& path,
                              const std::string& temporary) {
  CAIRN_CHECK(write_new_file(fs, path, as_bytes("old")));
  if (write_new_file(fs, path, as_bytes("other"))) {
    return does_not(folder, "refuse to create a file that exists");
  }
  CAIRN_CHECK(replace_file(fs, path, temporary, as_bytes("new")));
  CAIRN_TRY(const Bytes bytes, read_file(fs, path, 16));
  if (as_text(bytes) != "new" || file_exists(fs, temporary)) {
    return does_not(folder, "replace a file by a rename");
  }
  return {};
}

Status probe_file_system(Fs& fs, const std::string& folder) {
  CAIRN_TRY(const SessionId unique, SessionId::fresh());
  const std::string stem = join_path(folder, std::string(kPrefix) + unique.hex());
  const std::string lock = stem + ".lock", file = stem + ".file", temporary = stem + ".new";
  Status held = probe_locks(fs, folder, lock);
  if (held) held = probe_replacing(fs, folder, file, temporary);
  for (const std::string& path : {lock, file, temporary}) {
    if (!file_exists(fs, path)) continue;
    const Status removed = fs.remove(path);
    if (held && !removed) held = removed;
  }
  return held;
}

}  // namespace cairn
