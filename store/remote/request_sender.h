// Requests with their retries: one send() is as many attempts as it takes.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/stop_scope.h"
#include "store/remote/backend.h"
#include "store/remote/http_client.h"
#include "store/remote/open_backend.h"
#include "store/remote/rate_limit.h"
#include "store/remote/retry.h"

namespace cairn::remote {

/// How the servers of one kind tell what is wrong.
struct ServerManners {
  /// Answers that are worth another try beyond those of judge(); null: none.
  std::function<bool(const HttpResponse&)> may_change;
  /// In words, without the URL.
  std::function<std::string(const HttpResponse&)> tell;
};

/// What was sent and the answer to it, whatever its status.
struct Sent {
  HttpResponse response;
  /// An earlier attempt, or an earlier copy of this one, may have been carried out.
  bool repeated = false;
};

/// Threads: any. Copies share connections and throttle.
class RequestSender {
 public:
  static Result<RequestSender> make(const RemoteOptions& options, ServerManners manners);

  /// A copy with another stop flag.
  RequestSender with_stop(const std::atomic<bool>* stop) const;

  /// `make` is called for each attempt. `partial` (may be null) is told how many bytes of a range
  /// an attempt brought that then failed. `what`: what is done, on what, for messages.
  /// Errors: kUnreachable, kBusy (409), kCancelled, kFailed, those of `make`.
  tl::expected<Sent, WriteError> send(const std::string& what,
                                      const std::function<Result<HttpRequest>()>& make,
                                      const std::function<void(uint64_t)>& partial = nullptr) const;

  /// One attempt without throttle, retries and counting, for services beside the object store.
  HttpResult send_once(const HttpRequest& request) const { return client_->send(request, stop()); }

  RetryClock& clock() const { return *clock_; }

 private:
  RequestSender() = default;
  /// Its own flag, or that of the call for which is asked.
  const std::atomic<bool>* stop() const { return stop_ != nullptr ? stop_ : StopScope::current(); }
  HttpResult attempt(const HttpRequest& request, bool is_first, Verdict& verdict) const;
  WriteError give_up(const std::string& what, const HttpResult& result, const RetryLoop& loop,
                     bool ambiguous) const;
  RetryOptions patience() const;

  std::shared_ptr<HttpClient> client_;
  std::shared_ptr<Throttle> throttle_;
  std::shared_ptr<RemoteCounters> counters_;
  std::shared_ptr<std::atomic<bool>> answered_;  // the server has, at least once
  // When it was last waited for in vain, by the clock; 0: it has answered since.
  std::shared_ptr<std::atomic<int64_t>> given_up_ms_;
  std::shared_ptr<const ServerManners> manners_;
  RetryOptions retry_;
  RetryClock* clock_ = nullptr;
  const std::atomic<bool>* stop_ = nullptr;
};

}  // namespace cairn::remote
