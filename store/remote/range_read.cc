#include "store/remote/range_read.h"

#include "store/remote/ascii.h"
#include "store/remote/http_date.h"

namespace cairn::remote {

std::string version_of(const HttpResponse& response) {
  // A weak tag (`W/`) names what means the same, not the same bytes.
  const std::string_view tag = response.header("etag").value_or("");
  if (!tag.empty() && !tag.starts_with("W/")) return std::string(tag);
  return std::string(response.header("last-modified").value_or(""));
}

ObjectInfo info_of(const HttpResponse& response) {
  ObjectInfo info;
  info.bytes = parse_number(response.header("content-length").value_or("")).value_or(0);
  info.version = version_of(response);
  info.modified_ns = parse_http_date(response.header("last-modified").value_or("")).value_or(0);
  return info;
}

Result<ReadAnswer> read_range(const RequestSender& sender, const RangeReading& reading,
                              uint64_t offset, MutableBytes out, std::atomic<bool>* whole) {
  uint64_t done = 0;
  const auto make = [&]() -> Result<HttpRequest> {
    CAIRN_TRY(HttpRequest request, reading.make());
    request.offset = offset + done;
    request.into = out.subspan(done);
    return request;
  };
  if (out.empty()) return ReadAnswer{};
  const auto sent = sender.send(reading.what, make, [&](uint64_t bytes) { done += bytes; });
  if (!sent) return tl::unexpected<Error>(sent.error());
  const HttpResponse& response = sent->response;
  ReadAnswer answer;
  answer.total = response.total;
  answer.version = version_of(response);
  answer.bytes = done;
  if (response.status == 416) return answer;  // the object ends before
  if (!response.success()) return tl::unexpected<Error>(reading.error(response));
  if (response.whole && whole != nullptr) whole->store(true);
  answer.bytes += response.range_bytes;
  return answer;
}

}  // namespace cairn::remote
