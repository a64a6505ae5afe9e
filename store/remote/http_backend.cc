#include "store/remote/http_backend.h"

#include <fmt/format.h>

#include "base/utf8.h"
#include "store/remote/answer_errors.h"
#include "store/remote/range_read.h"

namespace cairn::remote {

HttpPlace::HttpPlace(Url named, const Environment& environment)
    : url(std::move(named)), authorization(environment.get("CAIRN_HTTP_AUTHORIZATION")) {}

HttpRequest HttpPlace::request(const char* method, const std::string& key) const {
  HttpRequest request;
  request.method = method;
  request.url = url;
  request.url.path += (url.path.ends_with('/') ? "" : "/") + percent_encode(key, true);
  if (!authorization.empty()) request.headers.push_back({"Authorization", authorization, true});
  return request;
}

namespace {

class HttpBackend final : public Backend {
 public:
  HttpBackend(HttpPlace place, RequestSender sender)
      : place_(std::move(place)),
        name_(place_.url.shown()),
        sender_(std::move(sender)),
        whole_(std::make_shared<std::atomic<bool>>(false)) {}

  std::unique_ptr<Backend> with_stop(const std::atomic<bool>* stop) const override {
    auto copy = std::make_unique<HttpBackend>(place_, sender_.with_stop(stop));
    copy->whole_ = whole_;
    return copy;
  }

  const std::string& name() const override { return name_; }

  BackendAbilities abilities() const override {
    BackendAbilities abilities;
    abilities.ranges = !whole_->load();
    return abilities;
  }

  Result<ObjectInfo> info(const std::string& key) override {
    CAIRN_CHECK(check_key(key));
    const std::string what = "cannot look at " + shown(key);
    const auto sent = sender_.send(what, [&] { return place_.request("HEAD", key); });
    if (!sent) return tl::unexpected<Error>(sent.error());
    if (!sent->response.success()) return failed(what, sent->response);
    return info_of(sent->response);
  }

  Result<ReadAnswer> read(const std::string& key, uint64_t offset, MutableBytes out) override {
    CAIRN_CHECK(check_key(key));
    RangeReading reading;
    reading.what = "cannot read " + shown(key);
    reading.make = [&] { return place_.request("GET", key); };
    reading.error = [&](const HttpResponse& response) {
      return answer_error(reading.what, response, status_text(response.status));
    };
    return read_range(sender_, reading, offset, out, whole_.get());
  }

  Result<WholeObject> read_whole(const std::string& key, uint64_t bytes_most) override {
    CAIRN_CHECK(check_key(key));
    const std::string what = "cannot read " + shown(key);
    auto sent = sender_.send(what, [&]() -> Result<HttpRequest> {
      HttpRequest asked = place_.request("GET", key);
      asked.body_max = bytes_most;
      asked.headers.push_back({"Cache-Control", "no-cache", false});
      asked.headers.push_back({"Pragma", "no-cache", false});
      return asked;
    });
    if (!sent) return tl::unexpected<Error>(sent.error());
    if (!sent->response.success()) return failed(what, sent->response);
    return WholeObject{std::move(sent->response.body), version_of(sent->response)};
  }

  WriteResult put(const std::string& key, const Payload&, const Condition&) override {
    return tl::unexpected<WriteError>({read_only(key), false});
  }
  Status remove(const std::string& key) override { return refused(key); }
  Result<Page<ListedObject>> list(const std::string& prefix, const std::string&) override {
    return fail(Code::kUsage,
                fmt::format("{}: a web server does not list '{}'", name_, cairn::shown(prefix)));
  }
  Result<std::string> begin_upload(const std::string& key, uint64_t) override {
    return refused(key);
  }
  Result<UploadedPart> upload_part(const std::string& key, const std::string&, uint32_t,
                                   const Payload&) override {
    return refused(key);
  }
  Result<std::vector<UploadedPart>> list_parts(const std::string& key,
                                               const std::string&) override {
    return refused(key);
  }
  WriteResult complete_upload(const std::string& key, const std::string&,
                              const std::vector<UploadedPart>&, const Condition&) override {
    return tl::unexpected<WriteError>({read_only(key), false});
  }
  Status abort_upload(const std::string& key, const std::string&) override { return refused(key); }
  Result<Page<OpenUpload>> list_uploads(const std::string& prefix, const std::string&) override {
    return refused(prefix);
  }

 private:
  std::string shown(const std::string& key) const {
    return fmt::format("{}{}{}", name_, name_.ends_with('/') ? "" : "/", cairn::shown(key));
  }

  static tl::unexpected<Error> failed(const std::string& what, const HttpResponse& response) {
    return tl::unexpected<Error>(answer_error(what, response, status_text(response.status)));
  }

  Error read_only(const std::string& key) const {
    return {
        Code::kUsage,
        fmt::format("{}: a web server is only read, '{}' is not written", name_, cairn::shown(key)),
        "write to s3:// or to a folder"};
  }
  tl::unexpected<Error> refused(const std::string& key) const {
    return tl::unexpected<Error>(read_only(key));
  }

  const HttpPlace place_;
  const std::string name_;
  const RequestSender sender_;
  std::shared_ptr<std::atomic<bool>> whole_;  // answered a range with the whole object
};

}  // namespace

Result<std::unique_ptr<Backend>> open_http_backend(const Url& url, const RemoteOptions& options) {
  ServerManners manners;
  manners.tell = [](const HttpResponse& response) { return status_text(response.status); };
  CAIRN_TRY(auto sender, RequestSender::make(options, std::move(manners)));
  return std::make_unique<HttpBackend>(HttpPlace(url, options.environment), std::move(sender));
}

}  // namespace cairn::remote
