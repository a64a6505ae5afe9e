// Which sessions live: who may still commit, and what he counts on (docs/PROTOCOL.md, section 5).
#pragma once

#include <optional>
#include <vector>

#include "store/lease.h"
#include "store/store.h"

namespace cairn {

enum class Life : uint8_t {
  kAlive,
  kDead,    ///< proven: no process of this host holds the lease or has its pid and start time
  kSilent,  ///< taken for dead: of another host and not renewed for kSilenceMax, or unreadable
};

struct FoundLease {
  SessionId session;
  std::optional<Lease> lease;  ///< unset when it cannot be read
  Life life = Life::kAlive;
};

/// The present by the clock of the store's file system; by this host's when only looking is
/// allowed.
Result<int64_t> file_system_now(const Store& store);

/// The leases there are. `now_ns` is the present by the file system's own clock. Leases that go
/// while the list is made may be missing. Errors: kCorrupt and kNewerFormat for the lease of a
/// session that may live, or was renewed a short while ago, and that this version cannot read: what
/// it counts on is unknown.
Result<std::vector<FoundLease>> list_leases(const Store& store, int64_t now_ns);

/// The lease of one session. Errors: kNotFound when it has none; as list_leases, of this lease
/// alone.
Result<FoundLease> find_lease(const Store& store, const SessionId& session, int64_t now_ns);

/// Whether a session has a lease, and a process that may hold it. Of one that cannot be read only
/// this host's processes do.
bool may_live(const Store& store, const SessionId& session, int64_t now_ns);

}  // namespace cairn
