// Where the body of an answer goes: checked against what was asked and what the headers say.
#pragma once

#include <optional>
#include <string>

#include "store/remote/http_message.h"

namespace cairn::remote {

/// Of one answer. A success to a range goes straight into the caller's memory; what a server
/// without ranges sends before it is dropped. Of an answer that is no success the beginning is
/// kept.
class BodySink {
 public:
  static constexpr uint64_t kErrorBytes = 64 * kKiB;

  /// `request` must stay.
  explicit BodySink(const HttpRequest& request) : request_(request) {}

  /// The headers are complete: sets total and whole. False: the body is not wanted (failure()).
  bool begin(HttpResponse& response);
  enum class Taken : uint8_t { kMore, kEnough, kRefused };
  /// kEnough: nothing that may still come is wanted. kRefused: failure() tells.
  Taken take(ByteSpan bytes);
  /// The body has ended as HTTP says; false: it does not hold what was asked (failure()).
  bool finish(HttpResponse& response);

  const HttpFailure& failure() const { return failure_; }
  uint64_t range_bytes() const { return range_bytes_; }

 private:
  bool begin_part(HttpResponse& response);
  bool begin_whole(HttpResponse& response);
  bool refuse(HttpTrouble trouble, std::string what);

  const HttpRequest& request_;
  HttpFailure failure_;
  bool success_ = false, ranged_ = false;
  uint64_t skip_ = 0, range_bytes_ = 0;
  uint64_t expected_ = 0;  // of a part
  Bytes* body_ = nullptr;
};

}  // namespace cairn::remote
