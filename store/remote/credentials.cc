#include "store/remote/credentials.h"

#include <fmt/format.h>

#include "base/utf8.h"
#include "store/remote/credential_services.h"

namespace cairn::remote {

using namespace std::chrono_literals;

// Renewed while requests that are under way can still end with what they were signed with.
static constexpr std::chrono::nanoseconds kRenewBefore = 5min;
static constexpr Milliseconds kAfterFailure = 30s;

static std::optional<Credentials> keys_of(std::string access, std::string secret,
                                          std::string token) {
  if (access.empty() || secret.empty()) return std::nullopt;
  return Credentials{{std::move(access), std::move(secret), std::move(token)}, 0};
}

/// A key without its secret is an error, as with AWS's programs: others would be used unnoticed.
/// What is not set goes to `looked`.
static Result<std::optional<Credentials>> from_environment(const Environment& environment,
                                                           std::vector<std::string>& looked) {
  const std::string access = environment.get("AWS_ACCESS_KEY_ID"),
                    secret = environment.get("AWS_SECRET_ACCESS_KEY");
  if (!access.empty() && secret.empty()) {
    return fail(Code::kAuth, "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not",
                "set both, or neither");
  }
  looked.push_back(secret.empty() ? "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: not set"
                                  : "AWS_ACCESS_KEY_ID: not set, and AWS_SECRET_ACCESS_KEY is");
  return keys_of(access, secret, environment.get("AWS_SESSION_TOKEN"));
}

static std::optional<Credentials> from_profile(const Profile& profile) {
  return keys_of(profile.get("aws_access_key_id"), profile.get("aws_secret_access_key"),
                 profile.get("aws_session_token"));
}

/// What a profile says that Cairn does not follow; empty: nothing.
static std::string unknown_way(const Profile& profile) {
  for (const char* setting : {"sso_session", "sso_start_url", "credential_process",
                              "source_profile", "credential_source"}) {
    if (!profile.get(setting).empty()) return setting;
  }
  return "";
}

Result<Credentials> find_credentials(const Environment& environment, const Profile& profile,
                                     const std::string& region, const Fetch& fetch) {
  std::vector<std::string> looked;
  CAIRN_TRY(const auto own, from_environment(environment, looked));
  if (own) return *own;
  const CredentialServices services{environment, profile, region, fetch};
  if (auto found = from_web_identity(services, looked)) return *found;
  if (auto found = from_profile(profile)) return *found;
  looked.push_back(fmt::format("profile '{}' ({})", shown(profile.name), profile.looked_at));
  if (const std::string way = unknown_way(profile); !way.empty()) {
    return fail(
        Code::kAuth,
        fmt::format("profile '{}' goes by {}, which Cairn does not do", shown(profile.name), way),
        "aws configure export-credentials --format env sets what it finds");
  }
  if (auto found = from_container(services, looked)) return *found;
  if (auto found = from_machine(services, looked)) return *found;
  return fail(Code::kAuth, fmt::format("no credentials: {}", fmt::join(looked, "; ")),
              "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or for a public bucket "
              "CAIRN_S3_ANONYMOUS=1");
}

Result<SigningKeys> CredentialStore::get() {
  const std::lock_guard lock(mutex_);
  const int64_t now = clock_.wall_ns();
  const bool is_fresh =
      is_found_ && (found_.expires_ns == 0 || now < found_.expires_ns - kRenewBefore.count());
  if (is_fresh) return found_.keys;
  const bool is_good = is_found_ && now < found_.expires_ns;
  if (is_good && clock_.now() < next_renewal_) return found_.keys;
  auto found = find_();
  if (!found && is_good) {
    next_renewal_ = clock_.now() + kAfterFailure;
    return found_.keys;
  }
  CAIRN_TRY(found_, std::move(found));
  is_found_ = true;
  found_at_ = clock_.now();
  return found_.keys;
}

bool CredentialStore::expire() {
  const std::lock_guard lock(mutex_);
  if (!is_found_) return true;
  if (found_.expires_ns == 0 || clock_.now() - found_at_ < kAfterFailure) return false;
  is_found_ = false;
  return true;
}

}  // namespace cairn::remote
