#include "store/remote/request_sender.h"

#include <algorithm>

#include <fmt/format.h>

namespace cairn::remote {

using namespace std::chrono_literals;

/// No try is silent for longer than there is time; and to be connected with is not all of it.
static void shorten_tries(Milliseconds retry_for, HttpOptions& http) {
  if (retry_for == 0ms) return;
  const auto stall = std::chrono::floor<std::chrono::seconds>(retry_for);
  http.stall_limit = std::min(http.stall_limit, std::max(stall, 1s));
  http.connect_limit = std::min(http.connect_limit, std::max(retry_for / 3, Milliseconds(1s)));
}

Result<RequestSender> RequestSender::make(const RemoteOptions& options, ServerManners manners) {
  HttpOptions http;
  http.connections = options.rate == nullptr
                         ? options.connections
                         : std::min(options.connections, options.rate->connections_most());
  http.rate = options.rate;
  http.connect_limit = options.connect_limit;
  http.stall_limit = options.stall_limit;
  shorten_tries(options.retry_for, http);
  take_authorities(options.environment, http);
  RequestSender sender;
  CAIRN_TRY(sender.client_, HttpClient::make(http));
  sender.throttle_ = std::make_shared<Throttle>(http.connections);
  sender.counters_ =
      options.counters != nullptr ? options.counters : std::make_shared<RemoteCounters>();
  sender.answered_ = std::make_shared<std::atomic<bool>>(false);
  sender.given_up_ms_ = std::make_shared<std::atomic<int64_t>>(0);
  sender.manners_ = std::make_shared<const ServerManners>(std::move(manners));
  // Who asks for more patience than usual has a server that is yet to come.
  if (options.retry_for > sender.retry_.give_up_after) sender.retry_.tries_at_first = 0;
  sender.retry_.give_up_after = options.retry_for;
  sender.clock_ = options.clock != nullptr ? options.clock : &machine_clock();
  sender.stop_ = options.stop;
  return sender;
}

RequestSender RequestSender::with_stop(const std::atomic<bool>* stop) const {
  RequestSender copy = *this;
  copy.stop_ = stop;
  return copy;
}

HttpResult RequestSender::attempt(const HttpRequest& request, bool is_first,
                                  Verdict& verdict) const {
  if (!throttle_->enter(stop())) {
    return tl::unexpected<HttpFailure>({HttpTrouble::kStopped, "stopped", false, 0});
  }
  ++counters_->requests;
  if (!is_first) ++counters_->retries;
  HttpResult result = client_->send(request, stop());
  verdict = judge(result, clock_->wall_ns());
  if (result && verdict.worth == Worth::kNothing && manners_->may_change &&
      manners_->may_change(*result)) {
    verdict.worth = Worth::kTry;
  }
  if (result) answered_->store(true);
  if (result && verdict.worth == Worth::kNothing) given_up_ms_->store(0);
  throttle_->leave(verdict.worth, result && result->success());
  return result;
}

/// Whether the server may have done what was asked although it did not say so.
static bool may_have_acted(const HttpResult& result) {
  if (!result) return result.error().sent;
  return result->resent || result->status >= 500;
}

static bool is_not_there(const HttpResult& result) {
  return !result && (result.error().trouble == HttpTrouble::kResolve ||
                     result.error().trouble == HttpTrouble::kConnect);
}

tl::expected<Sent, WriteError> RequestSender::send(
    const std::string& what, const std::function<Result<HttpRequest>()>& make,
    const std::function<void(uint64_t)>& partial) const {
  RetryLoop loop(patience(), *clock_);
  bool repeated = false;
  for (;;) {
    auto request = make();
    if (!request) return tl::unexpected<WriteError>(WriteError{request.error(), repeated});
    request->came_bytes = &counters_->read_bytes;
    request->went_bytes = &counters_->written_bytes;
    Verdict verdict;
    HttpResult result = attempt(*request, loop.tries() == 0, verdict);
    const bool acted = may_have_acted(result);
    if (result && verdict.worth == Worth::kNothing) {
      return Sent{std::move(*result), repeated || acted};
    }
    if (!result && result.error().range_bytes != 0 && partial) {
      partial(result.error().range_bytes);
      loop.progressed();
    }
    repeated = repeated || acted;
    const bool is_stranger = is_not_there(result) && !answered_->load();
    const auto pause = loop.next_pause(verdict, is_stranger ? retry_.tries_at_first : 0);
    if (!pause) return tl::unexpected<WriteError>(give_up(what, result, loop, repeated));
    if (!clock_->wait(*pause, stop())) {
      return tl::unexpected<WriteError>({{Code::kCancelled, what + ": stopped", {}}, repeated});
    }
  }
}

/// Of a place that was just waited for in vain nobody waits again: an operation that fails has
/// things to put in order there, and each would wait as long as the first.
RetryOptions RequestSender::patience() const {
  constexpr Milliseconds kLately = std::chrono::seconds(60);
  RetryOptions options = retry_;
  const Milliseconds given_up(given_up_ms_->load());
  if (given_up.count() != 0 && clock_->now() - given_up < kLately) {
    options.give_up_after = Milliseconds(0);
  }
  return options;
}

static Code code_of(const HttpResult& result) {
  if (result) return result->status == 409 ? Code::kBusy : Code::kUnreachable;
  switch (result.error().trouble) {
    case HttpTrouble::kStopped:
      return Code::kCancelled;
    case HttpTrouble::kTooLong:
      return Code::kCorrupt;
    case HttpTrouble::kLocal:
    case HttpTrouble::kRefused:
    case HttpTrouble::kMalformed:
      return Code::kFailed;
    case HttpTrouble::kResolve:
    case HttpTrouble::kConnect:
    case HttpTrouble::kTls:
    case HttpTrouble::kTimeout:
    case HttpTrouble::kLost:
    case HttpTrouble::kShort:
      return Code::kUnreachable;
  }
  return Code::kFailed;
}

static std::string tls_hint(const std::string& what) {
  // As OpenSSL and GnuTLS say that what came is no TLS at all.
  const bool is_plain = what.find("wrong version number") != std::string::npos ||
                        what.find("unexpected TLS packet") != std::string::npos;
  return is_plain ? "the server speaks no TLS there: is it 'http://'?"
                  : "for a server with certificates of your own, name them in CURL_CA_BUNDLE";
}

static std::string hint_of(const HttpResult& result) {
  if (result) return "";
  switch (result.error().trouble) {
    case HttpTrouble::kResolve:
      return "is the host's name right, and is there a network?";
    case HttpTrouble::kConnect:
      return "is a server running there, and does a firewall or a proxy stand in between?";
    case HttpTrouble::kTls:
      return tls_hint(result.error().what);
    case HttpTrouble::kRefused:
    case HttpTrouble::kTooLong:
    case HttpTrouble::kTimeout:
    case HttpTrouble::kLost:
    case HttpTrouble::kShort:
    case HttpTrouble::kMalformed:
    case HttpTrouble::kStopped:
    case HttpTrouble::kLocal:
      return "";
  }
  return "";
}

WriteError RequestSender::give_up(const std::string& what, const HttpResult& result,
                                  const RetryLoop& loop, bool ambiguous) const {
  const std::string why = result ? manners_->tell(*result) : result.error().what;
  if (code_of(result) == Code::kUnreachable && loop.tries() > 1) {
    given_up_ms_->store(clock_->now().count());
  }
  std::string message = fmt::format("{}: {}", what, why);
  if (loop.tries() > 1) {
    message += fmt::format(" (tried {} times in {:.1f} s)", loop.tries(),
                           static_cast<double>(loop.spent().count()) / 1000);
  }
  return {{code_of(result), std::move(message), hint_of(result)}, ambiguous};
}

}  // namespace cairn::remote
