// One request on a handle of libcurl, from its options to what came of it.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>

#include "store/remote/body_sink.h"
#include "store/remote/curl_library.h"
#include "store/remote/http_message.h"
#include "store/remote/rate_limit.h"

namespace cairn::remote {

struct HttpOptions {
  size_t connections = 32;
  std::chrono::milliseconds connect_limit{10'000};
  std::chrono::seconds stall_limit{20};  ///< without a byte in either direction
  std::string ca_file, ca_folder;        ///< empty: those of libcurl
  std::shared_ptr<RateLimit> rate;       ///< of bodies; null: none
};

/// Lives from before the handle is given to a driver until it is back.
class HttpTransfer {
 public:
  static constexpr uint64_t kHeaderBytes = 64 * kKiB;

  /// All four must stay. `queue`: of the thread that carries the transfer out.
  HttpTransfer(const CurlLibrary& curl, CURL* easy, const HttpRequest& request,
               RateQueue<CURL*>& queue);
  ~HttpTransfer();
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;

  void prepare(const HttpOptions& options);
  /// What it came to; `code` is what libcurl says of it.
  HttpResult outcome(CURLcode code);
  /// Where the answer sends the request to; empty: nowhere.
  std::string redirect_url() const;

 private:
  void prepare_headers();
  void prepare_body();
  void prepare_security(const HttpOptions& options);
  void prepare_limits(const HttpOptions& options);
  template <class Value>
  void set(CURLoption option, Value value) {
    curl_.easy_setopt(easy_, option, value);
  }
  void add_header(const std::string& line);

  long buffer_bytes() const;
  bool take_header(std::string_view line);
  bool take_body(ByteSpan bytes);
  static size_t on_header(char* data, size_t size, size_t count, void* self);
  static size_t on_body(char* data, size_t size, size_t count, void* self);
  static size_t on_send(char* data, size_t size, size_t count, void* self);
  static int on_seek(void* self, curl_off_t offset, int origin);
  static int on_progress(void* self, curl_off_t, curl_off_t down, curl_off_t, curl_off_t up);
  bool is_stalled(uint64_t body_bytes);
  uint64_t bytes_on_their_way() const;
  HttpFailure failure(CURLcode code) const;

  const CurlLibrary& curl_;
  CURL* const easy_;
  const HttpRequest& request_;
  RateQueue<CURL*>& queue_;
  curl_slist* list_ = nullptr;
  std::array<char, CURL_ERROR_SIZE> error_{};
  HttpResponse response_;
  std::unique_ptr<BodySink> sink_;
  uint64_t header_bytes_ = 0, sent_bytes_ = 0;
  bool body_begun_ = false, enough_ = false, refused_ = false, out_of_memory_ = false;
  std::chrono::seconds stall_limit_{};
  std::chrono::steady_clock::time_point moved_at_{};
  uint64_t moved_bytes_ = 0;
  bool is_held_ = false;  // by the rate
  bool has_stalled_ = false;
};

}  // namespace cairn::remote
