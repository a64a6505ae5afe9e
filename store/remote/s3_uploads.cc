#include "store/remote/s3_uploads.h"

#include <fmt/format.h>

#include "base/utf8.h"
#include "store/remote/crc32.h"
#include "store/remote/s3_answers.h"
#include "store/remote/s3_errors.h"

namespace cairn::remote {

// Of an answer that tells about one upload.
static constexpr uint64_t kAnswerBytes = 64 * kKiB;

std::string s3_shown(const S3Place& place, const std::string& key) {
  return fmt::format("{}/{}", place.name(), cairn::shown(key));
}

std::optional<std::string> own_key(const S3Place& place, const std::string& full_key) {
  const std::string begin = place.prefix.empty() ? "" : place.prefix + "/";
  if (!full_key.starts_with(begin)) return std::nullopt;
  std::string key = full_key.substr(begin.size());
  if (!check_key(key)) return std::nullopt;  // such as what a console makes for a folder
  return key;
}

static tl::unexpected<Error> failed(const std::string& what, const HttpResponse& response) {
  return tl::unexpected<Error>(s3_error(what, response));
}

static void add_condition(S3Request& request, const Condition& condition) {
  request.conditional = condition.kind != Condition::Kind::kNone;
  if (condition.kind == Condition::Kind::kAbsent) {
    request.headers.push_back({"If-None-Match", "*", false});
  }
  if (condition.kind == Condition::Kind::kVersion) {
    request.headers.push_back({"If-Match", condition.version, false});
  }
}

static void add_encryption(S3Request& request, const S3Place& place) {
  if (place.encryption.empty()) return;
  request.headers.push_back({"x-amz-server-side-encryption", place.encryption, false});
  if (place.encryption_key.empty()) return;
  request.headers.push_back(
      {"x-amz-server-side-encryption-aws-kms-key-id", place.encryption_key, false});
}

static uint32_t checksum_of(const Payload& payload) {
  return payload.crc32 ? *payload.crc32 : crc32_of(payload.bytes);
}

static void add_checksum(S3Request& request, uint32_t crc32) {
  request.headers.push_back({"x-amz-checksum-crc32", format_crc32(crc32), false});
}

static Result<std::string> etag_of(const HttpResponse& response) {
  return std::string(response.header("etag").value_or(""));
}

WriteResult S3Uploads::write_answer(const std::string& what, const Sent& sent,
                                    const Condition& condition,
                                    const Result<std::string>& version) const {
  // A success may hold an error: what went wrong after the answer had begun.
  const std::string code = s3_code(sent.response);
  if (sent.response.success() && code.empty()) {
    if (version) return *version;
    return tl::unexpected<WriteError>(
        WriteError{{Code::kFailed, what + ": " + version.error().message, {}}, true});
  }
  Error error = s3_error(what, sent.response);
  // A version that is asked of an object that is gone.
  const bool is_gone = error.code == Code::kNotFound && code != "NoSuchBucket" &&
                       code != "NoSuchUpload" && condition.kind == Condition::Kind::kVersion;
  if (is_gone) error.code = Code::kExists;
  return tl::unexpected<WriteError>(WriteError{std::move(error), sent.repeated});
}

WriteResult S3Uploads::put(const std::string& key, const Payload& payload,
                           const Condition& condition) const {
  const S3Place& place = client_.place();
  const std::string what = "cannot write " + s3_shown(place, key);
  S3Request request;
  request.method = "PUT";
  request.key = place.full_key(key);
  request.body = payload.bytes;
  request.body_max = kAnswerBytes;
  add_condition(request, condition);
  add_encryption(request, place);
  if (place.checksums) {
    add_checksum(request, checksum_of(payload));
  }
  const auto sent = client_.send(what, request);
  if (!sent) return tl::unexpected<WriteError>(sent.error());
  return write_answer(what, *sent, condition, etag_of(sent->response));
}

Result<std::string> S3Uploads::begin(const std::string& key) const {
  const S3Place& place = client_.place();
  const std::string what = "cannot begin to write " + s3_shown(place, key);
  S3Request request;
  request.method = "POST";
  request.key = place.full_key(key);
  request.query = {{"uploads", ""}};
  request.body_max = kAnswerBytes;
  add_encryption(request, place);
  if (place.checksums) request.headers.push_back({"x-amz-checksum-algorithm", "CRC32", false});
  const auto sent = client_.send(what, request);
  if (!sent) return tl::unexpected<Error>(sent.error());
  if (!sent->response.success()) return failed(what, sent->response);
  const auto upload = parse_upload_id(as_text(sent->response.body));
  if (!upload) return fail(Code::kFailed, what + ": " + upload.error().message);
  return *upload;
}

Result<UploadedPart> S3Uploads::add(const std::string& key, const std::string& upload,
                                    uint32_t number, const Payload& payload) const {
  const S3Place& place = client_.place();
  const std::string what = fmt::format("cannot write part {} of {}", number, s3_shown(place, key));
  S3Request request;
  request.method = "PUT";
  request.key = place.full_key(key);
  request.query = {{"partNumber", std::to_string(number)}, {"uploadId", upload}};
  request.body = payload.bytes;
  request.body_max = kAnswerBytes;
  UploadedPart part;
  part.number = number;
  part.bytes = payload.bytes.size();
  if (place.checksums) {
    part.crc32 = checksum_of(payload);
    add_checksum(request, *part.crc32);
  }
  const auto sent = client_.send(what, request);
  if (!sent) return tl::unexpected<Error>(sent.error());
  if (!sent->response.success()) return failed(what, sent->response);
  CAIRN_TRY(part.version, etag_of(sent->response));
  if (part.version.empty()) return fail(Code::kFailed, what + ": the answer has no ETag");
  return part;
}

Result<std::vector<UploadedPart>> S3Uploads::parts(const std::string& key,
                                                   const std::string& upload) const {
  const std::string what = "cannot list the parts of " + s3_shown(client_.place(), key);
  std::vector<UploadedPart> parts;
  std::string from;
  do {
    S3Request request;
    request.key = client_.place().full_key(key);
    request.query = {{"uploadId", upload}};
    if (!from.empty()) request.query.emplace_back("part-number-marker", from);
    request.body_max = kS3ListingBytes;
    const auto sent = client_.send(what, request);
    if (!sent) return tl::unexpected<Error>(sent.error());
    if (!sent->response.success()) return failed(what, sent->response);
    const auto page = parse_part_list(as_text(sent->response.body));
    if (!page) return fail(Code::kFailed, what + ": " + page.error().message);
    for (const UploadedPart& part : page->items) {
      if (!parts.empty() && part.number <= parts.back().number) {
        return fail(Code::kFailed, what + ": the answers go round in circles");
      }
      parts.push_back(part);
    }
    if (page->items.empty()) break;
    from = page->next;
  } while (!from.empty());
  return parts;
}

WriteResult S3Uploads::complete(const std::string& key, const std::string& upload,
                                const std::vector<UploadedPart>& parts,
                                const Condition& condition) const {
  const std::string what = "cannot complete " + s3_shown(client_.place(), key);
  const std::string body = format_parts(parts);
  S3Request request;
  request.method = "POST";
  request.key = client_.place().full_key(key);
  request.query = {{"uploadId", upload}};
  request.body = as_bytes(body);
  // Without one curl says that it is a form, and some servers take it for that.
  request.headers.push_back({"Content-Type", "application/xml"});
  request.body_max = kAnswerBytes;
  add_condition(request, condition);
  const auto sent = client_.send(what, request);
  if (!sent) return tl::unexpected<WriteError>(sent.error());
  return write_answer(what, *sent, condition, parse_completed(as_text(sent->response.body)));
}

Status S3Uploads::give_up(const std::string& key, const std::string& upload) const {
  const std::string what = "cannot end an upload of " + s3_shown(client_.place(), key);
  S3Request request;
  request.method = "DELETE";
  request.key = client_.place().full_key(key);
  request.query = {{"uploadId", upload}};
  request.body_max = kAnswerBytes;
  const auto sent = client_.send(what, request);
  if (!sent) return tl::unexpected<Error>(sent.error());
  if (sent->response.success() || s3_code(sent->response) == "NoSuchUpload") return {};
  return failed(what, sent->response);
}

Result<Page<OpenUpload>> S3Uploads::list(const std::string& prefix, const std::string& from) const {
  const S3Place& place = client_.place();
  const std::string what = "cannot list the uploads of " + place.name();
  S3Request request;
  request.query = {{"encoding-type", "url"}, {"prefix", place.full_key(prefix)}, {"uploads", ""}};
  if (!from.empty()) {
    const size_t cut = from.find('&');
    if (cut == std::string::npos) return fail(Code::kUsage, "such a page was never told of");
    const auto key = percent_decode(from.substr(0, cut));
    const auto upload = percent_decode(from.substr(cut + 1));
    request.query.emplace_back("key-marker", key.value_or(""));
    if (upload && !upload->empty()) request.query.emplace_back("upload-id-marker", *upload);
  }
  request.body_max = kS3ListingBytes;
  const auto sent = client_.send(what, request);
  if (!sent) return tl::unexpected<Error>(sent.error());
  if (!sent->response.success()) return failed(what, sent->response);
  const auto page = parse_upload_list(as_text(sent->response.body));
  if (!page) return fail(Code::kFailed, what + ": " + page.error().message);
  if (!from.empty() && page->next == from) {
    return fail(Code::kFailed, what + ": the answers go round in circles");
  }
  Page<OpenUpload> own;
  own.next = page->next;
  for (const OpenUpload& upload : page->items) {
    const auto key = own_key(place, upload.key);
    if (key && key->starts_with(prefix))
      own.items.push_back({*key, upload.upload, upload.begun_ns});
  }
  return own;
}

}  // namespace cairn::remote
