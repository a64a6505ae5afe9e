#include "store/remote/http_transfer.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "base/memory_guard.h"
#include "store/remote/answer_errors.h"
#include "store/remote/ascii.h"

namespace cairn::remote {

static constexpr long kBufferBytes = 512 * 1024;

HttpTransfer::HttpTransfer(const CurlLibrary& curl, CURL* easy, const HttpRequest& request,
                           RateQueue<CURL*>& queue)
    : curl_(curl),
      easy_(easy),
      request_(request),
      queue_(queue),
      sink_(std::make_unique<BodySink>(request)) {}

/// What libcurl hands over at once, and so what passes a limit at once.
long HttpTransfer::buffer_bytes() const {
  return queue_.limit() == nullptr ? kBufferBytes : static_cast<long>(queue_.limit()->step_bytes());
}

HttpTransfer::~HttpTransfer() {
  curl_.easy_reset(easy_);
  curl_.slist_free_all(list_);
}

void HttpTransfer::add_header(const std::string& line) {
  curl_slist* const longer = curl_.slist_append(list_, line.c_str());
  if (longer == nullptr) out_of_memory_ = true;
  if (longer != nullptr) list_ = longer;
}

void HttpTransfer::prepare(const HttpOptions& options) {
  set(CURLOPT_URL, request_.url.text().c_str());
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_ERRORBUFFER, error_.data());
  set(CURLOPT_BUFFERSIZE, buffer_bytes());
  set(CURLOPT_HEADERFUNCTION, &HttpTransfer::on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(CURLOPT_WRITEFUNCTION, &HttpTransfer::on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_FRESH_CONNECT, request_.fresh_connection ? 1L : 0L);
  if (request_.no_proxy) set(CURLOPT_NOPROXY, "*");
  prepare_headers();
  prepare_body();
  prepare_security(options);
  prepare_limits(options);
}

void HttpTransfer::prepare_headers() {
  // A coding that is sent all the same is undone by libcurl.
  set(CURLOPT_ACCEPT_ENCODING, "identity");
  add_header("Expect:");
  if (request_.offset) {
    add_header(fmt::format("Range: bytes={}-{}", *request_.offset,
                           *request_.offset + request_.into.size() - 1));
  }
  for (const HttpHeader& header : request_.headers) {
    add_header(header.value.empty() ? header.name + ";" : header.name + ": " + header.value);
  }
  set(CURLOPT_HTTPHEADER, list_);
  if (!request_.url.user.empty() || !request_.url.password.empty()) {
    set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    set(CURLOPT_USERNAME, request_.url.user.c_str());
    set(CURLOPT_PASSWORD, request_.url.password.c_str());
  }
}

void HttpTransfer::prepare_body() {
  if (request_.method == "HEAD") set(CURLOPT_NOBODY, 1L);
  if (request_.method == "PUT") {
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_UPLOAD_BUFFERSIZE, buffer_bytes());
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set(CURLOPT_READFUNCTION, &HttpTransfer::on_send);
    set(CURLOPT_READDATA, static_cast<void*>(this));
    set(CURLOPT_SEEKFUNCTION, &HttpTransfer::on_seek);
    set(CURLOPT_SEEKDATA, static_cast<void*>(this));
  }
  if (request_.method == "POST") {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set(CURLOPT_POSTFIELDS, request_.body.empty() ? "" : as_text(request_.body).data());
  }
  if (request_.method == "DELETE") set(CURLOPT_CUSTOMREQUEST, "DELETE");
}

void HttpTransfer::prepare_security(const HttpOptions& options) {
  // By number where the library is older than the option of names; both take http and https only.
  if (curl_.version_number() >= 0x075500) {
    set(CURLOPT_PROTOCOLS_STR, "http,https");
  } else {
    set(static_cast<CURLoption>(CURLOPTTYPE_LONG + 181), 3L);  // CURLOPT_PROTOCOLS
  }
  set(CURLOPT_FOLLOWLOCATION, 0L);  // HttpClient does, and knows what is secret
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  if (!options.ca_file.empty()) set(CURLOPT_CAINFO, options.ca_file.c_str());
  if (!options.ca_folder.empty()) set(CURLOPT_CAPATH, options.ca_folder.c_str());
}

void HttpTransfer::prepare_limits(const HttpOptions& options) {
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_limit.count()));
  // libcurl's own limit is for a mean over seconds: a body that stops would be waited for longer.
  stall_limit_ = options.stall_limit;
  moved_at_ = std::chrono::steady_clock::now();
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &HttpTransfer::on_progress);
  set(CURLOPT_XFERINFODATA, static_cast<void*>(this));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(request_.limit.count()));
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  // Who stops does not wait for a resolver that does not answer.
  if (curl_.version_number() >= 0x075700) set(CURLOPT_QUICK_EXIT, 1L);
}

/// Of `HTTP/1.1 206 Partial Content`; 0 where there is none.
static int status_of(std::string_view line) {
  const size_t blank = line.find(' ');
  if (blank == std::string_view::npos || line.size() < blank + 4) return 0;
  int status = 0;
  std::from_chars(line.data() + blank + 1, line.data() + blank + 4, status);
  return status;
}

bool HttpTransfer::take_header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kHeaderBytes) return false;
  if (line.starts_with("HTTP/")) {
    response_.headers.clear();
    response_.status = status_of(line);
    return true;
  }
  if (trimmed(line).empty()) {
    if (response_.status < 200 || body_begun_) return true;
    body_begun_ = true;
    refused_ = !sink_->begin(response_);
    return !refused_;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || body_begun_) return true;
  response_.headers.push_back(
      {lower(line.substr(0, colon)), std::string(trimmed(line.substr(colon + 1))), false});
  return true;
}

bool HttpTransfer::take_body(ByteSpan bytes) {
  const BodySink::Taken taken = sink_->take(bytes);
  enough_ = taken == BodySink::Taken::kEnough;
  refused_ = taken == BodySink::Taken::kRefused;
  return taken == BodySink::Taken::kMore;
}

size_t HttpTransfer::on_header(char* data, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<HttpTransfer*>(self);
  const auto taken = guard_memory([&]() -> Result<bool> {
    return transfer.take_header({data, size * count});
  });
  if (!taken) transfer.out_of_memory_ = true;
  return taken && *taken ? size * count : 0;
}

size_t HttpTransfer::on_body(char* data, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<HttpTransfer*>(self);
  transfer.is_held_ = !transfer.queue_.pass(transfer.easy_, size * count);
  if (transfer.is_held_) return CURL_WRITEFUNC_PAUSE;
  if (transfer.request_.came_bytes != nullptr) *transfer.request_.came_bytes += size * count;
  const auto taken = guard_memory(
      [&]() -> Result<bool> { return transfer.take_body(as_bytes(data, size * count)); });
  if (!taken) transfer.out_of_memory_ = true;
  return taken && *taken ? size * count : CURL_WRITEFUNC_PAUSE + 1;
}

size_t HttpTransfer::on_send(char* data, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<HttpTransfer*>(self);
  const ByteSpan left = transfer.request_.body.subspan(transfer.sent_bytes_);
  const size_t bytes =
      std::min({left.size(), size * count, static_cast<size_t>(transfer.buffer_bytes())});
  if (bytes == 0) return 0;
  transfer.is_held_ = !transfer.queue_.pass(transfer.easy_, bytes);
  if (transfer.is_held_) return CURL_READFUNC_PAUSE;
  std::memcpy(data, left.data(), bytes);
  if (transfer.request_.went_bytes != nullptr) *transfer.request_.went_bytes += bytes;
  transfer.sent_bytes_ += bytes;
  return bytes;
}

int HttpTransfer::on_seek(void* self, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<HttpTransfer*>(self);
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
  if (static_cast<uint64_t>(offset) > transfer.request_.body.size()) return CURL_SEEKFUNC_FAIL;
  if (transfer.sent_bytes_ != 0) transfer.response_.resent = true;
  transfer.sent_bytes_ = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

/// What lies in the kernel yet and was not acknowledged: on a slow way up that is megabytes, which
/// take longer than any patience to go.
uint64_t HttpTransfer::bytes_on_their_way() const {
  curl_socket_t socket = CURL_SOCKET_BAD;
  int waiting = 0;
  curl_.easy_getinfo(easy_, CURLINFO_ACTIVESOCKET, &socket);
  const bool is_told = socket != CURL_SOCKET_BAD && ::ioctl(socket, SIOCOUTQ, &waiting) == 0;
  return is_told && waiting > 0 ? static_cast<uint64_t>(waiting) : 0;
}

/// Whether nothing has come or gone for too long: no part of a body, of headers, or of the request.
bool HttpTransfer::is_stalled(uint64_t body_bytes) {
  long request_bytes = 0;
  curl_.easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &request_bytes);
  const uint64_t moved =
      body_bytes + header_bytes_ + static_cast<uint64_t>(request_bytes) - bytes_on_their_way();
  const auto now = std::chrono::steady_clock::now();
  if (moved != moved_bytes_ || is_held_) moved_at_ = now;
  moved_bytes_ = moved;
  return now - moved_at_ >= stall_limit_;
}

int HttpTransfer::on_progress(void* self, curl_off_t, curl_off_t down, curl_off_t, curl_off_t up) {
  auto& transfer = *static_cast<HttpTransfer*>(self);
  transfer.has_stalled_ = transfer.is_stalled(static_cast<uint64_t>(down + up));
  return transfer.has_stalled_ ? 1 : 0;
}

std::string HttpTransfer::redirect_url() const {
  char* url = nullptr;
  curl_.easy_getinfo(easy_, CURLINFO_REDIRECT_URL, &url);
  return url == nullptr ? "" : url;
}

static HttpTrouble trouble_of(CURLcode code, long os_error) {
  switch (static_cast<int>(code)) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return HttpTrouble::kResolve;
    case CURLE_COULDNT_CONNECT:
      return HttpTrouble::kConnect;
    case CURLE_OPERATION_TIMEDOUT:
      return HttpTrouble::kTimeout;
    case CURLE_SSL_CONNECT_ERROR:
      return os_error == 0 ? HttpTrouble::kTls : HttpTrouble::kLost;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_USE_SSL_FAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
      return HttpTrouble::kTls;
    case CURLE_PARTIAL_FILE:
      return HttpTrouble::kShort;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
      return HttpTrouble::kMalformed;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
      return HttpTrouble::kRefused;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
      return HttpTrouble::kLocal;
    default:
      return HttpTrouble::kLost;
  }
}

HttpFailure HttpTransfer::failure(CURLcode code) const {
  if (out_of_memory_) return {HttpTrouble::kLocal, "out of memory", true, 0};
  if (refused_) return sink_->failure();
  if (header_bytes_ > kHeaderBytes) {
    return {HttpTrouble::kRefused, "the answer has more than 64 KiB of headers", true, 0};
  }
  long os_error = 0, request_bytes = 0;
  curl_.easy_getinfo(easy_, CURLINFO_OS_ERRNO, &os_error);
  curl_.easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &request_bytes);
  if (has_stalled_) {
    return {HttpTrouble::kTimeout,
            fmt::format("nothing came or went for {} s", stall_limit_.count()), request_bytes != 0,
            sink_->range_bytes()};
  }
  const char* said = error_[0] != 0 ? error_.data() : curl_.easy_strerror(code);
  return {trouble_of(code, os_error), shown_long(said), request_bytes != 0, sink_->range_bytes()};
}

HttpResult HttpTransfer::outcome(CURLcode code) {
  if (code != CURLE_OK && !(enough_ && !out_of_memory_)) {
    return tl::unexpected<HttpFailure>(failure(code));
  }
  if (!sink_->finish(response_)) return tl::unexpected<HttpFailure>(sink_->failure());
  return std::move(response_);
}

}  // namespace cairn::remote
