#include "store/remote/s3_backend.h"

#include <fmt/format.h>

#include "base/utf8.h"
#include "store/remote/range_read.h"
#include "store/remote/s3_answers.h"
#include "store/remote/s3_client.h"
#include "store/remote/s3_errors.h"
#include "store/remote/s3_uploads.h"

namespace cairn::remote {

namespace {

class S3Backend final : public Backend {
 public:
  explicit S3Backend(S3Client client)
      : client_(std::move(client)), uploads_(client_), name_(client_.place().name()) {}

  std::unique_ptr<Backend> with_stop(const std::atomic<bool>* stop) const override {
    return std::make_unique<S3Backend>(client_.with_stop(stop));
  }

  const std::string& name() const override { return name_; }

  BackendAbilities abilities() const override {
    // As AWS has them; others allow as much or more.
    return {true, true, true, true, true, 5 * kGiB, 5 * kMiB, 5 * kGiB, 10'000};
  }

  Result<ObjectInfo> info(const std::string& key) override {
    CAIRN_CHECK(check_key(key));
    const std::string what = "cannot look at " + s3_shown(client_.place(), key);
    S3Request request = object(key);
    request.method = "HEAD";
    const auto sent = client_.send(what, request);
    if (!sent) return tl::unexpected<Error>(sent.error());
    if (!sent->response.success()) return failed(what, sent->response);
    return info_of(sent->response);
  }

  Result<ReadAnswer> read(const std::string& key, uint64_t offset, MutableBytes out) override {
    CAIRN_CHECK(check_key(key));
    RangeReading reading;
    reading.what = "cannot read " + s3_shown(client_.place(), key);
    const S3Request request = object(key);
    const std::string payload = client_.payload_of({});
    reading.make = [&] { return client_.sign(request, payload); };
    reading.error = [&](const HttpResponse& response) { return s3_error(reading.what, response); };
    return read_range(client_.sender(), reading, offset, out, nullptr);
  }

  Result<WholeObject> read_whole(const std::string& key, uint64_t bytes_most) override {
    CAIRN_CHECK(check_key(key));
    const std::string what = "cannot read " + s3_shown(client_.place(), key);
    S3Request request = object(key);
    request.body_max = bytes_most;
    request.headers.push_back({"Cache-Control", "no-cache", true});
    auto sent = client_.send(what, request);
    if (!sent) return tl::unexpected<Error>(sent.error());
    if (!sent->response.success()) return failed(what, sent->response);
    return WholeObject{std::move(sent->response.body), version_of(sent->response)};
  }

  WriteResult put(const std::string& key, const Payload& payload,
                  const Condition& condition) override {
    if (const auto refused = check_key(key); !refused) return refuse(refused.error());
    return uploads_.put(key, payload, condition);
  }

  Status remove(const std::string& key) override {
    CAIRN_CHECK(check_key(key));
    const std::string what = "cannot remove " + s3_shown(client_.place(), key);
    S3Request request = object(key);
    request.method = "DELETE";
    const auto sent = client_.send(what, request);
    if (!sent) return tl::unexpected<Error>(sent.error());
    if (sent->response.success() || s3_code(sent->response) == "NoSuchKey") return {};
    return failed(what, sent->response);
  }

  Result<Page<ListedObject>> list(const std::string& prefix, const std::string& from) override {
    const S3Place& place = client_.place();
    const std::string what = "cannot list " + name_;
    S3Request request;
    request.query = {
        {"encoding-type", "url"}, {"list-type", "2"}, {"prefix", place.full_key(prefix)}};
    if (!from.empty()) request.query.emplace_back("continuation-token", from);
    request.body_max = kS3ListingBytes;
    const auto sent = client_.send(what, request);
    if (!sent) return tl::unexpected<Error>(sent.error());
    if (!sent->response.success()) return failed(what, sent->response);
    const auto page = parse_object_list(as_text(sent->response.body));
    if (!page) return fail(Code::kFailed, what + ": " + page.error().message);
    if (!from.empty() && page->next == from) {
      return fail(Code::kFailed, what + ": the answers go round in circles");
    }
    Page<ListedObject> own;
    own.next = page->next;
    for (const ListedObject& listed : page->items) {
      const auto key = own_key(place, listed.key);
      if (key && key->starts_with(prefix)) own.items.push_back({*key, listed.info});
    }
    return own;
  }

  Result<std::string> begin_upload(const std::string& key, uint64_t) override {
    CAIRN_CHECK(check_key(key));
    return uploads_.begin(key);
  }
  Result<UploadedPart> upload_part(const std::string& key, const std::string& upload,
                                   uint32_t number, const Payload& payload) override {
    CAIRN_CHECK(check_key(key));
    return uploads_.add(key, upload, number, payload);
  }
  Result<std::vector<UploadedPart>> list_parts(const std::string& key,
                                               const std::string& upload) override {
    CAIRN_CHECK(check_key(key));
    return uploads_.parts(key, upload);
  }
  WriteResult complete_upload(const std::string& key, const std::string& upload,
                              const std::vector<UploadedPart>& parts,
                              const Condition& condition) override {
    if (const auto refused = check_key(key); !refused) return refuse(refused.error());
    return uploads_.complete(key, upload, parts, condition);
  }
  Status abort_upload(const std::string& key, const std::string& upload) override {
    CAIRN_CHECK(check_key(key));
    return uploads_.give_up(key, upload);
  }
  Result<Page<OpenUpload>> list_uploads(const std::string& prefix,
                                        const std::string& from) override {
    return uploads_.list(prefix, from);
  }

 private:
  S3Request object(const std::string& key) const {
    S3Request request;
    request.key = client_.place().full_key(key);
    return request;
  }

  static tl::unexpected<Error> failed(const std::string& what, const HttpResponse& response) {
    return tl::unexpected<Error>(s3_error(what, response));
  }
  static WriteResult refuse(const Error& error) {
    return tl::unexpected<WriteError>(WriteError{error, false});
  }

  const S3Client client_;
  const S3Uploads uploads_;
  const std::string name_;
};

}  // namespace

Result<std::unique_ptr<Backend>> open_s3_backend(const Url& url, const RemoteOptions& options) {
  CAIRN_TRY(auto client, S3Client::make(url, options));
  return std::make_unique<S3Backend>(std::move(client));
}

}  // namespace cairn::remote
