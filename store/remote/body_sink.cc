#include "store/remote/body_sink.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/utf8.h"
#include "store/remote/ascii.h"

namespace cairn::remote {

struct ContentRange {
  uint64_t first = 0, last = 0;  ///< both inclusive
  std::optional<uint64_t> total;
};

/// `bytes 0-99/1234`, `bytes 0-99/*`.
static std::optional<ContentRange> parse_content_range(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  const size_t dash = text.find('-'), slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) {
    return std::nullopt;
  }
  const auto first = parse_number(text.substr(0, dash));
  const auto last = parse_number(text.substr(dash + 1, slash - dash - 1));
  const auto total = parse_number(text.substr(slash + 1));
  if (!first || !last || *last < *first) return std::nullopt;
  if (!total && text.substr(slash + 1) != "*") return std::nullopt;
  if (total && *last >= *total) return std::nullopt;
  return ContentRange{*first, *last, total};
}

/// `bytes */1234`, of an answer that there is nothing there.
static std::optional<uint64_t> parse_unsatisfied(std::string_view text) {
  if (!text.starts_with("bytes */")) return std::nullopt;
  return parse_number(text.substr(8));
}

std::optional<std::string_view> HttpResponse::header(std::string_view name) const {
  for (const HttpHeader& header : headers) {
    if (header.name == name) return header.value;
  }
  return std::nullopt;
}

bool BodySink::refuse(HttpTrouble trouble, std::string what) {
  failure_ = {trouble, std::move(what), true, range_bytes_};
  return false;
}

bool BodySink::begin(HttpResponse& response) {
  response.body.clear();
  body_ = &response.body;
  success_ = response.success();
  if (request_.offset && response.status == 206) return begin_part(response);
  if (request_.offset && success_) return begin_whole(response);
  if (request_.offset && response.status == 416) {
    response.total = parse_unsatisfied(response.header("content-range").value_or(""));
  }
  return true;
}

bool BodySink::begin_part(HttpResponse& response) {
  const std::string_view coding = response.header("content-encoding").value_or("identity");
  if (coding != "identity") {
    return refuse(
        HttpTrouble::kRefused,
        fmt::format("the server sends ranges of what it codes ({})", cairn::shown(coding)));
  }
  const std::string_view told = response.header("content-range").value_or("");
  const auto range = parse_content_range(told);
  if (!range || range->first != *request_.offset) {
    return refuse(HttpTrouble::kMalformed,
                  fmt::format("asked for bytes from {}, the server sends '{}'", *request_.offset,
                              cairn::shown(told)));
  }
  expected_ = range->last - range->first + 1;
  const bool to_the_end = !range->total || range->last + 1 == *range->total;
  if (expected_ > request_.into.size() || (expected_ < request_.into.size() && !to_the_end)) {
    return refuse(HttpTrouble::kMalformed,
                  fmt::format("asked for {} bytes from {}, the server sends '{}'",
                              request_.into.size(), *request_.offset, cairn::shown(told)));
  }
  const auto length = response.header("content-length");
  if (length && parse_number(*length) != expected_) {
    return refuse(HttpTrouble::kMalformed, fmt::format("'{}' in a body of '{}' bytes",
                                                       cairn::shown(told), cairn::shown(*length)));
  }
  response.total = range->total;
  ranged_ = true;
  return true;
}

bool BodySink::begin_whole(HttpResponse& response) {
  response.whole = true;
  const bool is_coded = response.header("content-encoding").value_or("identity") != "identity";
  if (const auto length = response.header("content-length"); length && !is_coded) {
    response.total = parse_number(*length);
  }
  ranged_ = true;
  skip_ = *request_.offset;
  expected_ = request_.into.size();
  if (response.total) {
    expected_ = std::min(expected_, *response.total - std::min(skip_, *response.total));
  } else {
    expected_ = 0;  // where the body ends the object ends
  }
  return true;
}

BodySink::Taken BodySink::take(ByteSpan bytes) {
  if (ranged_) {
    const auto skipped = std::min<uint64_t>(skip_, bytes.size());
    skip_ -= skipped;
    bytes = bytes.subspan(skipped);
    const size_t count = std::min<size_t>(bytes.size(), request_.into.size() - range_bytes_);
    std::copy_n(bytes.data(), count, request_.into.data() + range_bytes_);
    range_bytes_ += count;
    return range_bytes_ == request_.into.size() && count < bytes.size() ? Taken::kEnough
                                                                        : Taken::kMore;
  }
  const uint64_t most = success_ ? request_.body_max : kErrorBytes;
  if (success_ && bytes.size() > most - body_->size()) {
    refuse(HttpTrouble::kTooLong, fmt::format("it has more than {} bytes", most));
    return Taken::kRefused;
  }
  append_bytes(*body_, bytes.first(std::min<uint64_t>(bytes.size(), most - body_->size())));
  return Taken::kMore;
}

bool BodySink::finish(HttpResponse& response) {
  response.range_bytes = range_bytes_;
  if (!ranged_ || range_bytes_ >= expected_) return true;
  return refuse(HttpTrouble::kShort, fmt::format("{} of {} bytes came", range_bytes_, expected_));
}

}  // namespace cairn::remote
