// HTTP as Cairn needs it: requests that block, from any number of threads, over connections that
// are kept and shared.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "store/remote/http_driver.h"
#include "store/remote/http_transfer.h"

namespace cairn::remote {

/// Threads: any. A process that was forked off cannot use the client of its parent: kLocal.
class HttpClient {
 public:
  static constexpr int kRedirects = 10;

  /// Opens libcurl. Errors: those of CurlLibrary::find(); kFailed.
  static Result<std::shared_ptr<HttpClient>> make(HttpOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// One attempt. A GET or HEAD follows redirects, to http and https only, never from https to
  /// http; what is secret is not sent to another origin, but a user and password that the redirect
  /// names. Any answer that was understood is a response, whatever its status.
  HttpResult send(const HttpRequest& request, const std::atomic<bool>* stop);

 private:
  HttpClient(std::shared_ptr<const CurlLibrary> curl, HttpOptions options,
             std::unique_ptr<HttpDriver> driver);
  CURL* take_handle();
  void give_handle(CURL* easy);
  HttpResult send_once(const HttpRequest& request, const std::atomic<bool>* stop,
                       std::string& redirect);

  const std::shared_ptr<const CurlLibrary> curl_;
  const HttpOptions options_;
  std::unique_ptr<HttpDriver> driver_;
  const int process_;
  std::mutex mutex_;
  std::vector<CURL*> handles_;  // that nobody uses
};

/// The certificate authorities that the environment names, as the curl program takes them:
/// CURL_CA_BUNDLE, else SSL_CERT_DIR and SSL_CERT_FILE.
void take_authorities(const class Environment& environment, HttpOptions& options);

}  // namespace cairn::remote
