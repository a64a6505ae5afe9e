#include "store/session.h"

#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include "base/clock.h"
#include "base/memory_guard.h"

namespace cairn {

std::string lease_path(const std::string& store_path, const SessionId& session) {
  return join_path(join_path(store_path, "sessions"), session.hex());
}

/// Renews the lease until it is destroyed.
class Session::Heartbeat {
 public:
  Heartbeat(Fs& fs, std::string path)
      : thread_([this, &fs, path = std::move(path)] {
          std::unique_lock lock(mutex_);
          // A renewal that fails is tried again at the next beat; many missed ones cost the commit.
          while (!ended_.wait_for(lock, kHeartbeat, [this] { return is_over_; })) {
            (void)guard_memory([&] { return fs.touch(path); }).has_value();
          }
        }) {}
  ~Heartbeat() {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    ended_.notify_all();
    thread_.join();
  }
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool is_over_ = false;
  std::thread thread_;
};

Session::Session(Fs& fs, std::string store_path, const SessionId& id)
    : fs_(fs), store_path_(std::move(store_path)), id_(id) {}

Result<std::unique_ptr<Session>> Session::begin(Fs& fs, const std::string& store_path,
                                                const std::string& tag,
                                                const std::optional<LeasedBase>& base,
                                                LeaseKind kind) {
  CAIRN_CHECK(fs.make_folders(join_path(store_path, "sessions")));
  const Lease lease{kind, this_process(), format_rfc3339(now_ns()), tag, base};
  CAIRN_TRY(const SessionId id, SessionId::fresh());
  std::unique_ptr<Session> session(new Session(fs, store_path, id));
  CAIRN_CHECK(session->publish(encode_lease(lease)));
  try {
    session->heartbeat_ = std::make_unique<Heartbeat>(fs, session->lease_path());
  } catch (const std::system_error&) {
    // No thread to be had: a save of some minutes needs no renewal.
  }
  return session;
}

/// (1) Under another name the lease is written, synced and marked as that of a living process; (2)
/// then it is renamed, so that a collector never meets half a lease, nor one without its mark; (3)
/// its name is made durable. A collector that comes between the two parts of (1) takes the file for
/// a leftover: then once more. Where files appear whole, the lease has its name from the begin.
Status Session::publish(const std::string& lease) {
  if (fs_.conditional() != nullptr) {
    leased_ = true;
    CAIRN_CHECK(create_and_sync(fs_, lease_path(), as_bytes(lease)));
    CAIRN_TRY(alive_, fs_.mark_alive(lease_path()));
    return {};
  }
  const std::string unnamed = lease_path() + std::string(kUnnamedLease);
  constexpr int kAttempts = 5;
  for (int attempt = 1;; ++attempt) {
    Status done = create_and_sync(fs_, unnamed, as_bytes(lease));
    if (done) {
      auto alive = fs_.mark_alive(unnamed);
      done = alive ? fs_.rename(unnamed, lease_path()) : tl::unexpected(alive.error());
      if (done) alive_ = *std::move(alive);
    }
    leased_ = true;  // the rename may have taken place, whatever was answered
    if (done) return fs_.sync_folder(parent_folder(unnamed));
    if (file_exists(fs_, unnamed)) (void)fs_.remove(unnamed).has_value();
    if (done.error().code != Code::kNotFound || attempt == kAttempts) return done;
  }
}

Session::~Session() {
  if (leased_) (void)guard_memory([&] { return end(); }).has_value();
}

Status Session::end() {
  heartbeat_.reset();
  alive_.reset();
  if (!std::exchange(leased_, false)) return {};
  return fs_.remove(lease_path());
}

void Session::remove_files(uint32_t packs, uint32_t metas) {
  const auto remove = [&](FileKind kind, uint32_t count) {
    for (uint32_t number = 0; number < count; ++number) {
      const std::string path = join_path(store_path_, relative_path(kind, {id_, number}));
      if (file_exists(fs_, path)) (void)fs_.remove(path).has_value();
    }
  };
  remove(FileKind::kPack, packs);
  remove(FileKind::kMeta, metas);
}

}  // namespace cairn
