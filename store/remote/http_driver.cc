#include "store/remote/http_driver.h"
#include "base/stop.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <system_error>

namespace cairn::remote {

using namespace std::chrono_literals;

static constexpr auto kLook = 50ms;         // how often a caller looks at its stop flag
static constexpr int kRestMs = 250;         // how often stalls are looked for
static constexpr int kIdleRestMs = 60'000;  // and with nothing to do

HttpDriver::HttpDriver(std::shared_ptr<const CurlLibrary> curl, CURLM* multi,
                       std::shared_ptr<RateLimit> rate)
    : curl_(std::move(curl)), multi_(multi), queue_(std::move(rate)) {}

/// A thread that takes no signals: those of the process are for threads of its program, and a
/// broken connection must be an error rather than SIGPIPE.
template <class Run>
static std::optional<std::thread> start_thread(const Run& run) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::optional<std::thread> thread;
  try {
    thread.emplace(run);
  } catch (const std::system_error&) {
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

Result<std::unique_ptr<HttpDriver>> HttpDriver::start(std::shared_ptr<const CurlLibrary> curl,
                                                      size_t connections,
                                                      std::shared_ptr<RateLimit> rate) {
  CURLM* const multi = curl->multi_init();
  if (multi == nullptr) return fail(Code::kFailed, "libcurl has no memory");
  const long count = static_cast<long>(connections);
  // One connection each for bulk: all streams of an HTTP/2 connection share one TCP window.
  curl->multi_setopt(multi, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
  curl->multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, count);
  curl->multi_setopt(multi, CURLMOPT_MAXCONNECTS, count);
  std::unique_ptr<HttpDriver> driver(new HttpDriver(std::move(curl), multi, std::move(rate)));
  auto thread = start_thread([raw = driver.get()] { raw->drive(); });
  if (!thread) return fail(Code::kFailed, "cannot start a thread for remotes");
  driver->thread_ = std::move(*thread);
  return driver;
}

HttpDriver::~HttpDriver() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  if (thread_.joinable()) {
    curl_->multi_wakeup(multi_);
    thread_.join();
  }
  curl_->multi_cleanup(multi_);
}

std::optional<CURLcode> HttpDriver::run(CURL* easy, const std::atomic<bool>* stop) {
  Waiter waiter;
  std::unique_lock lock(mutex_);
  waiters_.emplace(easy, &waiter);
  arriving_.push_back(easy);
  curl_->multi_wakeup(multi_);
  while (!waiter.done) {
    if (stop == nullptr || waiter.leaving) {
      waiter.changed.wait(lock);
      continue;
    }
    waiter.changed.wait_for(lock, kLook);
    if (!waiter.done && is_stopped(stop)) {
      waiter.leaving = true;
      curl_->multi_wakeup(multi_);
    }
  }
  return waiter.leaving ? std::nullopt : std::optional(waiter.code);
}

void HttpDriver::drive() {
  while (exchange()) {
    int running = 0;
    curl_->multi_perform(multi_, &running);
    collect();
    curl_->multi_poll(multi_, nullptr, 0, rest_ms(running > 0), nullptr);
    go_on();
  }
}

int HttpDriver::rest_ms(bool is_busy) const {
  const auto held = queue_.wait();
  if (!held) return is_busy ? kRestMs : kIdleRestMs;
  return static_cast<int>(std::min<Milliseconds>(*held, Milliseconds(kRestMs)).count());
}

/// Those that the rate has held back, as far as it allows by now. Each runs its callback here, and
/// may be held back again.
void HttpDriver::go_on() {
  while (const auto easy = queue_.next()) curl_->easy_pause(*easy, CURLPAUSE_CONT);
}

bool HttpDriver::exchange() {
  for (;;) {
    CURL* easy = nullptr;
    bool leaving = false;
    {
      const std::lock_guard lock(mutex_);
      if (ending_) return false;
      if (!arriving_.empty()) {
        easy = arriving_.back();
        arriving_.pop_back();
      } else {
        for (const auto& [handle, waiter] : waiters_) {
          if (waiter->leaving) easy = handle;
        }
        leaving = easy != nullptr;
      }
    }
    if (easy == nullptr) return true;
    if (leaving) {
      curl_->multi_remove_handle(multi_, easy);
      finish(easy, CURLE_ABORTED_BY_CALLBACK);
    } else if (curl_->multi_add_handle(multi_, easy) != CURLM_OK) {
      finish(easy, CURLE_OUT_OF_MEMORY);
    }
  }
}

void HttpDriver::collect() {
  int left = 0;
  while (const CURLMsg* message = curl_->multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* const easy = message->easy_handle;
    const CURLcode code = message->data.result;
    curl_->multi_remove_handle(multi_, easy);
    finish(easy, code);
  }
}

void HttpDriver::finish(CURL* easy, CURLcode code) {
  queue_.forget(easy);
  const std::lock_guard lock(mutex_);
  const auto found = waiters_.find(easy);
  if (found == waiters_.end()) return;
  Waiter& waiter = *found->second;
  waiters_.erase(found);
  waiter.code = code;
  waiter.done = true;
  waiter.changed.notify_one();  // under the lock: the waiter is gone once it sees `done`
}

}  // namespace cairn::remote
