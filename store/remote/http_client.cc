#include "store/remote/http_client.h"

#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "base/utf8.h"
#include "store/remote/environment.h"

namespace cairn::remote {

Result<std::shared_ptr<HttpClient>> HttpClient::make(HttpOptions options) {
  CAIRN_TRY(auto curl, CurlLibrary::find());
  options.connections = std::max<size_t>(options.connections, 1);
  CAIRN_TRY(auto driver, HttpDriver::start(curl, options.connections, options.rate));
  return std::shared_ptr<HttpClient>(
      new HttpClient(std::move(curl), std::move(options), std::move(driver)));
}

HttpClient::HttpClient(std::shared_ptr<const CurlLibrary> curl, HttpOptions options,
                       std::unique_ptr<HttpDriver> driver)
    : curl_(std::move(curl)),
      options_(std::move(options)),
      driver_(std::move(driver)),
      process_(getpid()) {}

HttpClient::~HttpClient() {
  if (getpid() != process_) {
    // A forked child has neither the thread nor the connections: they are its parent's to end.
    (void)driver_.release();
    return;
  }
  for (CURL* easy : handles_) curl_->easy_cleanup(easy);
}

CURL* HttpClient::take_handle() {
  {
    const std::lock_guard lock(mutex_);
    if (!handles_.empty()) {
      CURL* const easy = handles_.back();
      handles_.pop_back();
      return easy;
    }
  }
  return curl_->easy_init();
}

void HttpClient::give_handle(CURL* easy) {
  const std::lock_guard lock(mutex_);
  if (handles_.size() < options_.connections) {
    handles_.push_back(easy);
  } else {
    curl_->easy_cleanup(easy);
  }
}

HttpResult HttpClient::send_once(const HttpRequest& request, const std::atomic<bool>* stop,
                                 std::string& redirect) {
  const auto local = [](const char* what) {
    return tl::unexpected<HttpFailure>({HttpTrouble::kLocal, what, false, 0});
  };
  if (getpid() != process_) return local("this process was forked from the one that connected");
  CURL* const easy = take_handle();
  if (easy == nullptr) return local("libcurl has no memory");
  auto result = [&]() -> HttpResult {
    HttpTransfer transfer(*curl_, easy, request, driver_->queue());
    transfer.prepare(options_);
    const auto code = driver_->run(easy, stop);
    if (!code) {
      return tl::unexpected<HttpFailure>({HttpTrouble::kStopped, "stopped", true, 0});
    }
    redirect = transfer.redirect_url();
    return transfer.outcome(*code);
  }();
  give_handle(easy);
  return result;
}

/// The request that a redirect asks for in the place of `request`.
static tl::expected<HttpRequest, std::string> redirected(HttpRequest request,
                                                         const std::string& target) {
  const std::string scheme = target.substr(0, target.find(':'));
  if (scheme != "http" && scheme != "https") {
    return tl::unexpected<std::string>("a redirect to " + cairn::shown(scheme) + ":");
  }
  const auto url = parse_url(target);
  if (!url) return tl::unexpected<std::string>("a redirect to what is no URL");
  if (request.url.scheme == "https" && url->scheme == "http") {
    return tl::unexpected<std::string>("a redirect from https to " + url->shown());
  }
  if (url->same_origin(request.url)) {
    const Url before = request.url;
    request.url = *url;
    request.url.user = before.user;
    request.url.password = before.password;
  } else {
    request.url = *url;
    std::erase_if(request.headers, [](const HttpHeader& header) { return header.secret; });
  }
  return request;
}

static bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

HttpResult HttpClient::send(const HttpRequest& request, const std::atomic<bool>* stop) {
  HttpRequest current = request;
  for (int count = 0;; ++count) {
    std::string target;
    auto result = send_once(current, stop, target);
    const bool follows = result && is_redirect(result->status) && !target.empty() &&
                         (request.method == "GET" || request.method == "HEAD");
    if (!follows) return result;
    auto next = redirected(std::move(current), target);
    if (!next || count == kRedirects) {
      const std::string what =
          next ? fmt::format("more than {} redirects", kRedirects) : next.error();
      return tl::unexpected<HttpFailure>({HttpTrouble::kRefused, what, true, 0});
    }
    current = std::move(*next);
  }
}

void take_authorities(const Environment& environment, HttpOptions& options) {
  options.ca_file = environment.get("CURL_CA_BUNDLE");
  if (!options.ca_file.empty()) return;
  options.ca_folder = environment.get("SSL_CERT_DIR");
  options.ca_file = environment.get("SSL_CERT_FILE");
}

}  // namespace cairn::remote
