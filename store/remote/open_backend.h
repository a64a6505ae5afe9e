// From a URL to the place that it names.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string_view>

#include "store/remote/backend.h"
#include "store/remote/environment.h"

namespace cairn::remote {

class RateLimit;
class RetryClock;

/// What was done so far, for whoever watches. Only grows.
struct RemoteCounters {
  std::atomic<uint64_t> requests{0};  ///< attempts, those that failed among them
  std::atomic<uint64_t> retries{0};   ///< of those, the ones that were not the first
  /// Of bodies, as they come and go: those of attempts that failed, and what a server without
  /// ranges sends before what was asked for, among them.
  std::atomic<uint64_t> read_bytes{0}, written_bytes{0};
};

struct RemoteOptions {
  size_t connections = 32;
  /// Without progress, before giving up; 0: one try. Where that is less than the
  /// limits below, a third of it is the one to connect, and it the other; at least 1 s.
  std::chrono::milliseconds retry_for{30'000};
  std::shared_ptr<RateLimit> rate;  ///< of bodies both ways, over all that share it; null: none
  std::chrono::milliseconds connect_limit{10'000};
  std::chrono::seconds stall_limit{20};      ///< without a byte in either direction
  const std::atomic<bool>* stop = nullptr;   ///< must stay; may be null
  std::shared_ptr<RemoteCounters> counters;  ///< null: nobody counts
  /// What is read may be kept nearby, where the environment says so: not by who looks whether all
  /// is well there, and deletes what is not.
  bool may_cache = false;
  RetryClock* clock = nullptr;  ///< null: the machine's; must stay (tests)
  Environment environment;      ///< credentials, endpoint, region, proxies' authorities
};

/// `file:///path` or a path: a folder, which need not exist yet; `http://` and `https://`: a web
/// server, to be read only; `s3://bucket/prefix`: an object store. Nothing is asked of it yet.
/// Errors: kUsage (a malformed URL or another scheme); kAuth (no credentials); kFailed (no
/// libcurl).
Result<std::unique_ptr<Backend>> open_backend(std::string_view url, const RemoteOptions& options);

/// Whether `text` is a URL of files that lie elsewhere: no path of a folder, and not `file://`.
bool is_remote(std::string_view text);
/// The folder that a `file://` URL names; others as they are.
std::string folder_of(std::string_view text);

}  // namespace cairn::remote
