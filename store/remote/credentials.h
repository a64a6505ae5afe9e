// Who the requests to an object store are from: found where AWS's own programs look, and renewed
// before they expire.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>

#include "store/remote/environment.h"
#include "store/remote/http_message.h"
#include "store/remote/profile.h"
#include "store/remote/retry.h"
#include "store/remote/sigv4.h"

namespace cairn::remote {

struct Credentials {
  SigningKeys keys;
  int64_t expires_ns = 0;  ///< since 1970; 0: never
};

/// One request to a service that gives credentials, without retries.
using Fetch = std::function<HttpResult(const HttpRequest&)>;

/// The first of: AWS_ACCESS_KEY_ID and its kin; a web identity (AWS_WEB_IDENTITY_TOKEN_FILE and
/// AWS_ROLE_ARN, or the profile's); the profile's keys; the endpoint of a container
/// (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI); that of an EC2 machine, unless
/// AWS_EC2_METADATA_DISABLED.
/// Errors: kAuth telling all that was looked at, or that AWS_ACCESS_KEY_ID stands without its
/// secret. Secrets are in no message.
Result<Credentials> find_credentials(const Environment& environment, const Profile& profile,
                                     const std::string& region, const Fetch& fetch);

/// Finds them when they are first needed. Threads: any; one looks while the others wait.
class CredentialStore {
 public:
  using Find = std::function<Result<Credentials>()>;
  CredentialStore(Find find, RetryClock& clock) : find_(std::move(find)), clock_(clock) {}

  /// Errors: those of find. While what is there has not expired, a failed renewal is no error.
  Result<SigningKeys> get();
  /// The server says that they have expired: finds them anew next time. False where that cannot
  /// help, because they do not expire, or it was just tried.
  bool expire();

 private:
  const Find find_;
  RetryClock& clock_;
  std::mutex mutex_;
  Credentials found_;
  bool is_found_ = false;
  Milliseconds next_renewal_{};  // not before, after one that failed
  Milliseconds found_at_{};
};

}  // namespace cairn::remote
