// A request and what came of it.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "store/remote/url.h"

namespace cairn::remote {

struct HttpHeader {
  std::string name, value;
  bool secret = false;  ///< only for the origin of the URL: not sent along a redirect to another
};

struct HttpRequest {
  std::string method = "GET";  ///< GET, HEAD, PUT, POST or DELETE
  Url url;                     ///< its user and password are sent as Basic authorization
  std::vector<HttpHeader> headers;
  ByteSpan body;                      ///< of PUT and POST
  std::optional<uint64_t> offset;     ///< asks for into.size() > 0 bytes from there, as a range
  MutableBytes into;                  ///< takes the bytes asked for with `offset`
  uint64_t body_max = 0;              ///< without `offset`: a longer body of a success is an error
  bool fresh_connection = false;      ///< so that nothing is sent twice behind the caller's back
  bool no_proxy = false;              ///< for servers that are this machine's own
  std::chrono::milliseconds limit{};  ///< for all of it; zero: only stalls end it
  /// Count bytes of the answer's body as they come, and of the own as they go; may be null.
  std::atomic<uint64_t>* came_bytes = nullptr;
  std::atomic<uint64_t>* went_bytes = nullptr;
};

struct HttpResponse {
  int status = 0;
  std::vector<HttpHeader> headers;  ///< names in lower case
  Bytes body;                       ///< of a success without `offset`; of others the beginning
  uint64_t range_bytes = 0;         ///< with `offset`: how many of `into` were filled
  std::optional<uint64_t> total;    ///< with `offset`: the bytes of the object, where known
  bool whole = false;               ///< with `offset`: the server answered with the whole object
  bool resent = false;              ///< the body was sent more than once: see fresh_connection

  bool success() const { return status >= 200 && status < 300; }
  /// The value of the first of that name (in lower case), nullopt: none.
  std::optional<std::string_view> header(std::string_view name) const;
};

/// Why there is no response.
enum class HttpTrouble : uint8_t {
  kResolve,    ///< no address for the name
  kConnect,    ///< nobody listens there, or no way to it
  kTls,        ///< no trust, or no common tongue
  kTimeout,    ///< no connection, or a stall
  kLost,       ///< the connection broke
  kShort,      ///< the body is not as long as the server said
  kMalformed,  ///< an answer that makes no sense; another may
  kRefused,    ///< an answer that is not accepted: a forbidden redirect, a coded range
  kTooLong,    ///< the body of a success has more than body_max
  kStopped,    ///< by the caller's flag
  kLocal,      ///< this process cannot: memory, a fork
};

struct HttpFailure {
  HttpTrouble trouble = HttpTrouble::kLocal;
  std::string what;          ///< no URL in it
  bool sent = false;         ///< the server may have got the whole request, and acted
  uint64_t range_bytes = 0;  ///< of `into`, from its begin, that were filled with what was asked
};

using HttpResult = tl::expected<HttpResponse, HttpFailure>;

}  // namespace cairn::remote
