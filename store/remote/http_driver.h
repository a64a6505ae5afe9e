// The one thread that drives a multi handle of libcurl. Transfers of many callers go on at once in
// it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "store/remote/curl_library.h"
#include "store/remote/rate_limit.h"

namespace cairn::remote {

/// Threads: any number may call run() at once. No signal is handled in its thread.
class HttpDriver {
 public:
  static Result<std::unique_ptr<HttpDriver>> start(std::shared_ptr<const CurlLibrary> curl,
                                                   size_t connections,
                                                   std::shared_ptr<RateLimit> rate);
  /// REQUIRES: no run() is in progress.
  ~HttpDriver();
  HttpDriver(const HttpDriver&) = delete;
  HttpDriver& operator=(const HttpDriver&) = delete;

  /// Performs what `easy` is set to, its callbacks in the driver's thread, until it ends or
  /// `stop` is set (looked at every 50 ms; may be null): then nullopt. `easy` is free afterwards.
  std::optional<CURLcode> run(CURL* easy, const std::atomic<bool>* stop);
  /// Of the driver's thread: for callbacks only.
  RateQueue<CURL*>& queue() { return queue_; }

 private:
  struct Waiter {
    std::condition_variable changed;
    bool leaving = false;
    bool done = false;
    CURLcode code = CURLE_OK;
  };
  HttpDriver(std::shared_ptr<const CurlLibrary> curl, CURLM* multi,
             std::shared_ptr<RateLimit> rate);
  void drive();
  bool exchange();  // takes new ones in, lets leaving ones go; false: the end
  void collect();
  void go_on();
  int rest_ms(bool is_busy) const;
  void finish(CURL* easy, CURLcode code);

  const std::shared_ptr<const CurlLibrary> curl_;
  CURLM* const multi_;
  RateQueue<CURL*> queue_;
  std::mutex mutex_;
  bool ending_ = false;
  std::vector<CURL*> arriving_;
  std::unordered_map<CURL*, Waiter*> waiters_;
  std::thread thread_;
};

}  // namespace cairn::remote
