#include "store/remote/s3_errors.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "store/remote/answer_errors.h"
#include "store/remote/http_date.h"
#include "store/remote/s3_answers.h"

namespace cairn::remote {

static constexpr uint64_t kTroubleBytes = 64 * kKiB;

static std::optional<S3Trouble> trouble_of(const HttpResponse& response) {
  if (response.body.size() > kTroubleBytes) return std::nullopt;
  return parse_s3_trouble(as_text(response.body));
}

std::string tell_s3_answer(const HttpResponse& response) {
  const auto trouble = trouble_of(response);
  const std::string status = status_text(response.status);
  if (!trouble) return status;
  return fmt::format("{} ({}: {})", status, trouble->code, trouble->message);
}

std::string s3_code(const HttpResponse& response) {
  const auto trouble = trouble_of(response);
  return trouble ? trouble->code : "";
}

template <size_t kCount>
static bool is_among(const std::array<std::string_view, kCount>& codes, const std::string& code) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

bool is_passing_s3_code(const std::string& code) {
  // Of 409: two writers of one key at the same instant. Of 400: what was damaged, or stalled, on
  // the way. Of 200: what went wrong after the answer had begun.
  static constexpr std::array<std::string_view, 9> kPassing = {"ConditionalRequestConflict",
                                                               "OperationAborted",
                                                               "RequestTimeout",
                                                               "BadDigest",
                                                               "XAmzContentSHA256Mismatch",
                                                               "InternalError",
                                                               "SlowDown",
                                                               "ServiceUnavailable",
                                                               "IncompleteBody"};
  return is_among(kPassing, code);
}

/// How far this machine's clock is from the server's, as the answer tells.
static std::string skew_hint(const HttpResponse& response) {
  const std::string_view date = response.header("date").value_or("");
  const auto there = parse_http_date(date);
  if (!there) return "set this machine's clock: the server has another time";
  const int64_t seconds = (now_ns() - *there) / 1'000'000'000;
  return fmt::format("set this machine's clock: it is {} s {} the server's ({})", std::abs(seconds),
                     seconds < 0 ? "behind" : "ahead of", shown(date));
}

static std::string hint_of(const std::string& code, const HttpResponse& response) {
  if (code == "RequestTimeTooSkewed") return skew_hint(response);
  if (code == "NoSuchBucket") return "make the bucket; or is its name right?";
  if (code == "ExpiredToken") return "renew the credentials: they were given for a time";
  if (code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch" || code == "InvalidToken") {
    return "see AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile of AWS_PROFILE";
  }
  if (code == "NotImplemented") return "this server lacks what Cairn asks of one: docs/REMOTES.md";
  if (response.status == 301 || code == "AuthorizationHeaderMalformed") {
    const auto region = response.header("x-amz-bucket-region");
    return region ? fmt::format("set AWS_REGION={}", shown(*region)) : "is AWS_REGION right?";
  }
  return "";
}

Error s3_error(const std::string& what, const HttpResponse& response) {
  static constexpr std::array<std::string_view, 6> kAuth = {
      "ExpiredToken",       "InvalidToken",          "AuthorizationHeaderMalformed",
      "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"};
  static constexpr std::array<std::string_view, 3> kFull = {"QuotaExceeded", "XMinioStorageFull",
                                                            "InsufficientStorage"};
  static constexpr std::array<std::string_view, 3> kAbsent = {"NoSuchKey", "NoSuchUpload",
                                                              "NoSuchBucket"};
  const std::string code = s3_code(response);
  Error error = answer_error(what, response, tell_s3_answer(response));
  if (is_among(kAuth, code)) error.code = Code::kAuth;
  if (is_among(kFull, code)) error.code = Code::kNoSpace;
  if (is_among(kAbsent, code)) error.code = Code::kNotFound;
  if (code == "PreconditionFailed") error.code = Code::kExists;
  if (code == "NoSuchBucket") error.message = what + ": there is no such bucket";
  error.hint = hint_of(code, response);
  return error;
}

}  // namespace cairn::remote
