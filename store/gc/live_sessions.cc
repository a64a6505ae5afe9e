#include "store/gc/live_sessions.h"

#include <fmt/format.h>

#include "store/session.h"

namespace cairn {
namespace {

constexpr uint64_t kLeaseBytesMax = 64 * kMiB;
/// A lease that is being written is unreadable, and unlocked, for an instant.
constexpr std::chrono::seconds kUnreadableMax{60};

bool is_older(const FileInfo& info, int64_t now_ns, std::chrono::seconds age) {
  return now_ns - info.modified_ns > std::chrono::nanoseconds(age).count();
}

Life judge(const ProcessIdentity& owner, bool is_marked, const FileInfo& info, int64_t now_ns) {
  if (is_marked) return Life::kAlive;
  if (owner.host == this_process().host) {
    // The lease is there an instant before its lock.
    return process_start(owner.pid) == owner.start ? Life::kAlive : Life::kDead;
  }
  return is_older(info, now_ns, kSilenceMax) ? Life::kSilent : Life::kAlive;
}

Result<FoundLease> look_at(Fs& fs, const std::string& path, const SessionId& session,
                           int64_t now_ns) {
  CAIRN_TRY(const FileInfo info, fs.info(path));
  CAIRN_TRY(const bool is_marked, fs.is_marked_alive(path));
  const auto text = read_file(fs, path, kLeaseBytesMax);
  if (!text && text.error().code != Code::kCorrupt) return tl::unexpected(text.error());
  // Too long is as unreadable as nonsense.
  auto lease = text ? decode_lease(*text, path) : tl::unexpected(text.error());
  if (lease) {
    const Life life = judge(lease->owner, is_marked, info, now_ns);
    return FoundLease{session, *std::move(lease), life};
  }
  // Whose commit would be refused need not be understood; anyone else's base must be.
  if (is_marked || lease.error().code == Code::kNewerFormat) {
    return tl::unexpected(lease.error());
  }
  const bool is_old = is_older(info, now_ns, kUnreadableMax);
  return FoundLease{session, std::nullopt, is_old ? Life::kSilent : Life::kAlive};
}

}  // namespace

Result<std::vector<FoundLease>> list_leases(const Store& store, int64_t now_ns) {
  std::vector<FoundLease> found;
  const std::string folder = join_path(store.path(), "sessions");
  const auto entries = store.fs().list(folder);
  if (!entries && entries.error().code == Code::kNotFound) return found;
  if (!entries) return tl::unexpected(entries.error());
  for (const FolderEntry& entry : *entries) {
    const auto session = SessionId::parse(entry.name);
    if (!session || !entry.is_file) continue;
    auto lease = look_at(store.fs(), join_path(folder, entry.name), *session, now_ns);
    if (lease) found.push_back(*std::move(lease));
    // It ended meanwhile: its tag, if any, stands in a root that is read after this.
    if (!lease && lease.error().code != Code::kNotFound) return tl::unexpected(lease.error());
  }
  return found;
}

}  // namespace cairn
