#include "store/remote/s3_client.h"

#include "base/sha256.h"
#include "store/remote/s3_errors.h"

namespace cairn::remote {

// A larger body takes longer to hash than it is worth where TLS guards it.
static constexpr uint64_t kSmallBody = 64 * kKiB;

struct S3Client::Shared {
  std::mutex mutex;
  std::string region;  // as a server has told
  std::unique_ptr<CredentialStore> credentials;
};

/// A bucket of AWS that lies elsewhere says where, in answers to requests for another region.
static bool learn_region(const HttpResponse& response, std::mutex& mutex, std::string& region) {
  const auto told = response.header("x-amz-bucket-region");
  const bool is_elsewhere = response.status == 301 || response.status == 307 ||
                            response.status == 400 || response.status == 403;
  if (!told || told->empty() || !is_elsewhere) return false;
  if (told->find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string_view::npos) {
    return false;
  }
  const std::lock_guard lock(mutex);
  if (region == *told) return false;
  region = *told;
  return true;
}

Result<S3Client> S3Client::make(const Url& url, const RemoteOptions& options) {
  CAIRN_TRY(auto profile, read_profile(options.environment));
  CAIRN_TRY(auto found, find_s3_place(url, options.environment, profile));
  const auto place = std::make_shared<const S3Place>(std::move(found));
  auto shared = std::make_shared<Shared>();
  shared->region = place->region;
  ServerManners manners;
  manners.tell = tell_s3_answer;
  manners.may_change = [shared = shared.get(), place](const HttpResponse& response) {
    if (place->is_aws && learn_region(response, shared->mutex, shared->region)) return true;
    const std::string code = s3_code(response);
    if (code == "ExpiredToken") return shared->credentials->expire();
    return is_passing_s3_code(code);
  };
  CAIRN_TRY(auto sender, RequestSender::make(options, std::move(manners)));
  // Who looks for credentials stops with the place as it was opened.
  auto find = [sender, profile = std::move(profile), environment = options.environment, place] {
    return find_credentials(environment, profile, place->region,
                            [&](const HttpRequest& request) { return sender.send_once(request); });
  };
  shared->credentials = std::make_unique<CredentialStore>(std::move(find), sender.clock());
  return S3Client(place, std::move(sender), std::move(shared));
}

S3Client S3Client::with_stop(const std::atomic<bool>* stop) const {
  S3Client copy = *this;
  copy.sender_ = sender_.with_stop(stop);
  return copy;
}

std::string S3Client::payload_of(ByteSpan body) const {
  const bool is_guarded = place_->endpoint.scheme == "https" || !place_->sign_payload;
  if (body.size() > kSmallBody && is_guarded) return std::string(kUnsignedPayload);
  return to_hex(sha256(body));
}

Result<HttpRequest> S3Client::sign(const S3Request& asked, const std::string& payload) const {
  SigningScope scope;
  {
    const std::lock_guard lock(shared_->mutex);
    scope.region = shared_->region;
  }
  HttpRequest request;
  request.method = asked.method;
  request.url = place_->url(asked.key, scope.region);
  request.url.query = encode_query(asked.query);
  request.headers = asked.headers;
  request.body = asked.body;
  request.body_max = asked.body_max;
  // That it sends the body of a PUT again libcurl tells, and nothing else.
  const bool tells = asked.method == "PUT" && !asked.body.empty();
  request.fresh_connection = asked.conditional && !tells;
  if (place_->anonymous) return request;
  CAIRN_TRY(const SigningKeys keys, shared_->credentials->get());
  scope.wall_ns = sender_.clock().wall_ns();
  sign_request(request, keys, scope, payload);
  return request;
}

tl::expected<Sent, WriteError> S3Client::send(const std::string& what,
                                              const S3Request& request) const {
  const std::string payload = payload_of(request.body);
  return sender_.send(what, [&] { return sign(request, payload); });
}

}  // namespace cairn::remote
