#include "store/remote/credential_services.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "base/fs.h"
#include "base/utf8.h"
#include "store/remote/answer_errors.h"
#include "store/remote/http_date.h"
#include "store/remote/xml_reader.h"

namespace cairn::remote {

using namespace std::chrono_literals;

static constexpr uint64_t kAnswerBytes = 64 * kKiB;
static constexpr Milliseconds kServiceLimit = 10s;
// A machine that is none of EC2 has nobody at that address, and should not be waited for.
static constexpr Milliseconds kMachineLimit = 1s;

/// The body of a success, or why there is none.
static tl::expected<std::string, std::string> ask(const CredentialServices& services,
                                                  HttpRequest request) {
  request.body_max = kAnswerBytes;
  const HttpResult result = services.fetch(request);
  if (!result) return tl::unexpected<std::string>(result.error().what);
  if (!result->success()) return tl::unexpected<std::string>(status_text(result->status));
  return std::string(as_text(result->body));
}

static std::optional<std::string> read_text(const std::string& path) {
  const auto bytes = read_file(posix_fs(), path, kAnswerBytes);
  if (!bytes) return std::nullopt;
  std::string text(as_text(*bytes));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

/// Of the JSON that containers and machines answer with.
static std::optional<Credentials> parse_json(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto field = [&](const char* name) -> std::string {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
  };
  Credentials found;
  found.keys = {field("AccessKeyId"), field("SecretAccessKey"), field("Token")};
  found.expires_ns = parse_rfc3339(field("Expiration")).value_or(0);
  if (found.keys.access_key.empty() || found.keys.secret_key.empty()) return std::nullopt;
  return found;
}

/// Of STS's answer.
static std::optional<Credentials> parse_sts(const std::string& text) {
  Credentials found;
  XmlReader reader(text);
  std::string name;
  for (;;) {
    const auto event = reader.next();
    if (!event || *event == XmlEvent::kDone) break;
    if (*event == XmlEvent::kBegin) name = reader.name();
    if (*event == XmlEvent::kEnd) name.clear();
    if (*event != XmlEvent::kText) continue;
    if (name == "AccessKeyId") found.keys.access_key = reader.text();
    if (name == "SecretAccessKey") found.keys.secret_key = reader.text();
    if (name == "SessionToken") found.keys.session_token = reader.text();
    if (name == "Expiration") found.expires_ns = parse_rfc3339(reader.text()).value_or(0);
  }
  if (found.keys.access_key.empty() || found.keys.secret_key.empty()) return std::nullopt;
  return found;
}

static std::string sts_endpoint(const CredentialServices& services) {
  for (const char* variable : {"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"}) {
    const std::string named = services.environment.get(variable);
    if (!named.empty()) return named;
  }
  const char* end = services.region.starts_with("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  return fmt::format("https://sts.{}.{}/", services.region, end);
}

std::optional<Credentials> from_web_identity(const CredentialServices& services,
                                             std::vector<std::string>& looked) {
  const auto setting = [&](const char* variable, const char* in_profile) {
    const std::string value = services.environment.get(variable);
    return value.empty() ? services.profile.get(in_profile) : value;
  };
  const auto none = [&](std::string_view why) {
    looked.push_back(fmt::format("web identity: {}", why));
    return std::nullopt;
  };
  const std::string path = setting("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
  const std::string role = setting("AWS_ROLE_ARN", "role_arn");
  if (path.empty() || role.empty()) {
    return none("AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN are not set");
  }
  const auto token = read_text(path);
  if (!token) return none(fmt::format("cannot read '{}'", path));
  std::string session = setting("AWS_ROLE_SESSION_NAME", "role_session_name");
  if (session.empty()) session = "cairn";
  const std::string body = encode_query({{"Action", "AssumeRoleWithWebIdentity"},
                                         {"Version", "2011-06-15"},
                                         {"RoleArn", role},
                                         {"RoleSessionName", session},
                                         {"WebIdentityToken", *token}});
  const auto url = parse_url(sts_endpoint(services));
  if (!url) return none(url.error().message);
  HttpRequest request;
  request.method = "POST";
  request.url = *url;
  request.body = as_bytes(body);
  request.limit = kServiceLimit;
  const auto answer = ask(services, request);
  if (!answer) return none(fmt::format("{}: {}", url->shown(), answer.error()));
  auto found = parse_sts(*answer);
  return found ? found : none(fmt::format("{} sends no credentials", url->shown()));
}

/// Plain http carries secrets only to this machine and to the addresses that containers have.
static bool may_ask(const Url& url) {
  static constexpr std::array<std::string_view, 6> kNear = {
      "localhost", "127.0.0.1", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
  return url.scheme == "https" || std::find(kNear.begin(), kNear.end(), url.host) != kNear.end();
}

std::optional<Credentials> from_container(const CredentialServices& services,
                                          std::vector<std::string>& looked) {
  const Environment& environment = services.environment;
  const auto none = [&](std::string_view why) {
    looked.push_back(fmt::format("container: {}", why));
    return std::nullopt;
  };
  const std::string relative = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const std::string full = relative.empty() ? environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
                                            : "http://169.254.170.2" + relative;
  if (full.empty()) return none("AWS_CONTAINER_CREDENTIALS_..._URI is not set");
  const auto url = parse_url(full);
  if (!url) return none(url.error().message);
  if (!may_ask(*url)) return none(fmt::format("{} is neither https nor near", url->shown()));
  HttpRequest request;
  request.url = *url;
  request.no_proxy = true;
  request.limit = kServiceLimit;
  std::string token = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string path = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
      !path.empty()) {
    const auto read = read_text(path);
    if (!read) return none(fmt::format("cannot read '{}'", path));
    token = *read;
  }
  if (token.find_first_of("\r\n") != std::string::npos) return none("its token has several lines");
  if (!token.empty()) request.headers.push_back({"Authorization", token, true});
  const auto answer = ask(services, request);
  if (!answer) return none(fmt::format("{}: {}", url->shown(), answer.error()));
  auto found = parse_json(*answer);
  return found ? found : none(fmt::format("{} sends no credentials", url->shown()));
}

std::optional<Credentials> from_machine(const CredentialServices& services,
                                        std::vector<std::string>& looked) {
  const auto none = [&](std::string_view why) {
    looked.push_back(fmt::format("EC2: {}", why));
    return std::nullopt;
  };
  if (services.environment.says_yes("AWS_EC2_METADATA_DISABLED")) {
    return none("AWS_EC2_METADATA_DISABLED is set");
  }
  std::string endpoint = services.environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (endpoint.empty()) endpoint = "http://169.254.169.254";
  while (endpoint.ends_with('/')) endpoint.pop_back();
  const auto url = parse_url(endpoint);
  if (!url) return none(url.error().message);
  HttpRequest request;
  request.url = *url;
  request.no_proxy = true;
  request.limit = kMachineLimit;
  request.method = "PUT";
  request.url.path = url->path + "/latest/api/token";
  request.headers = {{"X-aws-ec2-metadata-token-ttl-seconds", "21600", false}};
  const auto token = ask(services, request);
  if (!token) return none(fmt::format("{}: {}", url->shown(), token.error()));
  const bool is_line = token->find_first_of("\r\n") == std::string::npos;
  if (!is_line) return none("its token has several lines");
  request.method = "GET";
  request.headers = {{"X-aws-ec2-metadata-token", *token, true}};
  request.url.path = url->path + "/latest/meta-data/iam/security-credentials/";
  const auto roles = ask(services, request);
  if (!roles) return none(fmt::format("no role: {}", roles.error()));
  request.url.path += percent_encode(roles->substr(0, roles->find('\n')));
  const auto answer = ask(services, request);
  if (!answer) return none(answer.error());
  auto found = parse_json(*answer);
  return found ? found : none("its answer has no credentials");
}

}  // namespace cairn::remote
