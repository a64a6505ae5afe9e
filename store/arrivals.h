// What a session has brought of a tag that comes from another store: `sessions/<session>.arrived`,
// a journal; `.held` while the session commits; `.left` when it has given up. The next one that
// brings a tag goes on from what was left, whatever tag that was of (docs/FORMAT.md, section 12).
// It is a hint: who goes by it checks every byte.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "store/copy_key.h"
#include "store/session.h"
#include "store/store.h"

namespace cairn {

/// Which tag of which store comes.
struct Origin {
  SessionId store_id;
  Digest manifest;

  bool operator==(const Origin&) const = default;
};

/// A stored copy that has arrived.
struct Arrival {
  CopyKey key;
  FileId pack;  ///< where it lies
  uint64_t offset = 0;

  bool operator==(const Arrival&) const = default;
};

/// In an object store it says only which tag comes: what has arrived the packs say. Threads: any.
class ArrivalJournal {
 public:
  static Result<std::unique_ptr<ArrivalJournal>> begin(const Store& store, const SessionId& session,
                                                       const Origin& origin);
  Status note(std::span<const Arrival> arrivals);
  /// From here on nobody takes what arrived for leftovers, whatever becomes of this process: a tag
  /// that stands on it may be visible. Durable with success.
  Status hold();
  /// The session has closed its packs, will write to them no more, and no tag of its can be
  /// visible: others may go on from here. Also after hold(); takes no room.
  Status leave();
  /// Nobody needs to go on from here, or may: the session's files go, or come to be a tag's.
  /// Success too when it is gone.
  Status remove();
  const std::string& path() const { return path_; }  ///< what it is called now

 private:
  ArrivalJournal(Fs& fs, std::string path, std::unique_ptr<File> file, Bytes header)
      : fs_(fs), path_(std::move(path)), header_(std::move(header)), file_(std::move(file)) {}
  bool is_object() const { return fs_.conditional() != nullptr; }
  Status append(ByteSpan bytes);

  Fs& fs_;
  std::string path_;
  const Bytes header_;
  std::unique_ptr<File> file_;
  std::mutex mutex_;
  uint64_t bytes_ = 0;
};

/// What a session that writes no more has brought.
struct LeftArrivals {
  std::string path;
  Origin origin;
  SessionId session;
  std::vector<Arrival> arrivals;  ///< in the order of their arrival; none in an object store
};

struct FoundArrivals {
  std::vector<LeftArrivals> left;
  std::vector<std::string> passed_over;  ///< what could not be taken over, and why
};

/// Of all sessions that have left them, or whose processes, on this host, are gone: these count as
/// left from then on. None of them has a lease any more: should one live after all, its commit is
/// refused (docs/PROTOCOL.md, S7 b). In an object store no lock proves that a process is gone,
/// which may be another container's with this host's name: there a session of another tag than
/// `own` has been silent for kSilentArrivals, too.
FoundArrivals take_left_arrivals(const Store& store, const Origin& own);
/// The same, and nothing is changed: who goes by it only tells.
FoundArrivals look_at_left_arrivals(const Store& store, const Origin& own);
inline constexpr std::chrono::seconds kSilentArrivals = 4 * kHeartbeat;

/// Removes the journals of sessions that have no lease: a collector takes their packs. Returns what
/// could not be removed, and why.
std::vector<std::string> remove_old_arrivals(const Store& store);

}  // namespace cairn
