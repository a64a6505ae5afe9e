#include "store/gc/live_sessions.h"

#include "base/clock.h"

#include <fmt/format.h>

#include "store/session.h"

namespace cairn {
namespace {

/// Leases get their names when they are whole, so one that cannot be read is damaged; its session,
/// which renews it twice as often, may live.
constexpr std::chrono::seconds kUnreadableMax = 2 * kHeartbeat;

bool is_older(const FileInfo& info, int64_t now_ns, std::chrono::seconds age) {
  return now_ns - info.modified_ns > std::chrono::nanoseconds(age).count();
}

/// Whether a process of this host still runs; unset where the start times that would tell it from a
/// later one of its number are hidden, or were.
std::optional<bool> still_runs(const ProcessIdentity& owner) {
  if (!process_exists(owner.pid)) return false;
  const uint64_t start = process_start(owner.pid);
  if (start == 0 || owner.start == 0) return std::nullopt;
  return start == owner.start;
}

Life judge(const ProcessIdentity& owner, bool is_marked, const FileInfo& info, int64_t now_ns) {
  if (is_marked) return Life::kAlive;
  if (owner.host == this_process().host) {
    // Without its mark it may live all the same: another file may have taken the lease's place.
    const std::optional<bool> runs = still_runs(owner);
    if (runs) return *runs ? Life::kAlive : Life::kDead;
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
  if (is_older(info, now_ns, kUnreadableMax)) {
    return FoundLease{session, std::nullopt, Life::kSilent};
  }
  Error error = lease.error();
  error.hint = fmt::format(
      "nothing was deleted, since the session may live and count on any file: collect again when "
      "no one has renewed the lease for {} s, or remove it if nobody saves",
      kUnreadableMax.count());
  return tl::unexpected(std::move(error));
}

}  // namespace

Result<int64_t> file_system_now(const Store& store) {
  const bool has_locks = store.fs().conditional() == nullptr;
  const std::string path = join_path(store.path(), has_locks ? "lock" : "clock");
  Status told = store.fs().touch(path);
  if (!told && told.error().code == Code::kNotFound) told = create_and_sync(store.fs(), path, {});
  // Another has touched it just now.
  if (!told && told.error().code == Code::kExists) told = {};
  const bool may_only_look =
      !told && (has_locks || told.error().code == Code::kAuth || told.error().code == Code::kUsage);
  if (may_only_look) return now_ns();
  CAIRN_CHECK(told);
  CAIRN_TRY(const FileInfo info, store.fs().info(path));
  return info.modified_ns;
}

Result<std::vector<FoundLease>> list_leases(const Store& store, int64_t now_ns) {
  std::vector<FoundLease> found;
  const std::string folder = join_path(store.path(), "sessions");
  const auto entries = store.fs().list(folder);
  if (!entries && entries.error().code == Code::kNotFound) return found;
  if (!entries) return tl::unexpected(entries.error());
  for (const FolderEntry& entry : *entries) {
    const auto session = SessionId::parse(entry.name);
    if (!session) continue;
    const std::string path = join_path(folder, entry.name);
    if (!entry.is_file) {
      return fail(Code::kCorrupt, fmt::format("'{}' has the name of a lease and is no file", path),
                  "nothing was deleted: remove it if nobody saves");
    }
    auto lease = look_at(store.fs(), path, *session, now_ns);
    if (lease) found.push_back(*std::move(lease));
    // It ended meanwhile: its tag, if any, stands in a root that is read after this.
    if (!lease && lease.error().code != Code::kNotFound) return tl::unexpected(lease.error());
  }
  return found;
}

Result<FoundLease> find_lease(const Store& store, const SessionId& session, int64_t now_ns) {
  return look_at(store.fs(), lease_path(store.path(), session), session, now_ns);
}

bool may_live(const Store& store, const SessionId& session, int64_t now_ns) {
  const std::string path = lease_path(store.path(), session);
  const auto is_marked = store.fs().is_marked_alive(path);
  if (is_marked && *is_marked) return true;
  const auto lease = find_lease(store, session, now_ns);
  return lease && lease->life == Life::kAlive;
}

}  // namespace cairn
