#include "store/remote/s3_place.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace cairn::remote {

std::string S3Place::name() const {
  return fmt::format("s3://{}{}{}", bucket, prefix.empty() ? "" : "/",
                     percent_encode(prefix, true));
}

std::string S3Place::full_key(const std::string& key) const {
  return prefix.empty() ? key : prefix + "/" + key;
}

static std::string aws_host(const std::string& region) {
  const char* end = region.starts_with("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  return fmt::format("s3.{}.{}", region, end);
}

Url S3Place::url(const std::string& full_key, const std::string& of_region) const {
  Url url = endpoint;
  if (is_aws) url.host = aws_host(of_region);
  while (url.path.ends_with('/')) url.path.pop_back();
  if (path_style) {
    url.path += "/" + percent_encode(bucket);
  } else {
    url.host = bucket + "." + url.host;
  }
  if (!full_key.empty() || !path_style) url.path += "/" + percent_encode(full_key, true);
  return url;
}

static std::string first_of(std::initializer_list<std::string> values) {
  for (const std::string& value : values) {
    if (!value.empty()) return value;
  }
  return "";
}

static bool is_bucket(std::string_view name) {
  return name.size() >= 3 && name.size() <= 63 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == std::string_view::npos;
}

static Status find_endpoint(const Environment& environment, const Profile& profile,
                            S3Place& place) {
  const std::string named =
      first_of({environment.get("AWS_ENDPOINT_URL_S3"), environment.get("AWS_ENDPOINT_URL"),
                profile.get("s3.endpoint_url"), profile.get("endpoint_url")});
  place.is_aws = named.empty();
  auto endpoint = parse_url(named.empty() ? "https://" + aws_host(place.region) : named);
  if (!endpoint) {
    return fail(endpoint.error().code,
                "the endpoint (AWS_ENDPOINT_URL): " + endpoint.error().message,
                "it looks like https://minio.example.org or http://127.0.0.1:9000");
  }
  place.endpoint = *std::move(endpoint);
  if (place.endpoint.scheme != "http" && place.endpoint.scheme != "https") {
    return fail(Code::kUsage, fmt::format("the endpoint {} is neither http:// nor https://",
                                          place.endpoint.shown()));
  }
  // Certificates of AWS are for one name before `.s3`, so a bucket with dots goes into the path.
  const std::string style = environment.get("CAIRN_S3_ADDRESSING");
  if (!style.empty() && style != "path" && style != "virtual") {
    return fail(Code::kUsage, fmt::format("CAIRN_S3_ADDRESSING is '{}'", shown(style)),
                "path or virtual");
  }
  const bool is_plain = place.bucket.find('.') == std::string::npos;
  place.path_style = style.empty() ? !place.is_aws || !is_plain : style == "path";
  return {};
}

static Status find_encryption(const Environment& environment, S3Place& place) {
  place.encryption = environment.get("CAIRN_S3_SSE");
  place.encryption_key = environment.get("CAIRN_S3_SSE_KMS_KEY_ID");
  const std::string& kind = place.encryption;
  const bool is_kms = kind == "aws:kms" || kind == "aws:kms:dsse";
  if (!kind.empty() && kind != "AES256" && !is_kms) {
    return fail(Code::kUsage, fmt::format("CAIRN_S3_SSE is '{}'", shown(kind)),
                "AES256, aws:kms or aws:kms:dsse");
  }
  if (!place.encryption_key.empty() && !is_kms) {
    return fail(Code::kUsage, "CAIRN_S3_SSE_KMS_KEY_ID needs CAIRN_S3_SSE=aws:kms");
  }
  return {};
}

Result<S3Place> find_s3_place(const Url& url, const Environment& environment,
                              const Profile& profile) {
  S3Place place;
  place.bucket = url.host;
  if (!is_bucket(place.bucket) || !url.port.empty() || !url.query.empty() || !url.user.empty()) {
    return fail(Code::kUsage, fmt::format("'{}' names no bucket", url.shown()),
                "as in s3://bucket/prefix");
  }
  const auto prefix = percent_decode(url.path);
  if (!prefix) return fail(Code::kUsage, fmt::format("'{}' is not encoded well", url.shown()));
  place.prefix = *prefix;
  while (place.prefix.starts_with('/')) place.prefix.erase(0, 1);
  while (place.prefix.ends_with('/')) place.prefix.pop_back();
  if (!place.prefix.empty()) CAIRN_CHECK(check_key(place.prefix));
  place.region = first_of({environment.get("AWS_REGION"), environment.get("AWS_DEFAULT_REGION"),
                           profile.get("region"), "us-east-1"});
  place.anonymous = environment.says_yes("CAIRN_S3_ANONYMOUS");
  place.checksums = environment.get("AWS_REQUEST_CHECKSUM_CALCULATION") != "when_required";
  place.sign_payload = environment.get("CAIRN_S3_PAYLOAD") != "unsigned";
  CAIRN_CHECK(find_endpoint(environment, profile, place));
  CAIRN_CHECK(find_encryption(environment, place));
  return place;
}

}  // namespace cairn::remote
