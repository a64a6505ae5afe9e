// Reading a range in as many attempts as it takes: what arrived before a connection broke is kept.
#pragma once

#include <functional>
#include <string>

#include "store/remote/backend.h"
#include "store/remote/request_sender.h"

namespace cairn::remote {

struct RangeReading {
  std::string what;  ///< for messages
  /// A GET of the object, to which offset and memory are added; called for each attempt.
  std::function<Result<HttpRequest>()> make;
  std::function<Error(const HttpResponse&)> error;
};

/// `whole` (may be null) is set when the server answered with the whole object.
Result<ReadAnswer> read_range(const RequestSender& sender, const RangeReading& reading,
                              uint64_t offset, MutableBytes out, std::atomic<bool>* whole);

/// The ETag, or without one the time of the last change; empty: neither.
std::string version_of(const HttpResponse& response);
/// What the headers of an answer to HEAD tell.
ObjectInfo info_of(const HttpResponse& response);

}  // namespace cairn::remote
