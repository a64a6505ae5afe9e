#include "store/remote/answer_errors.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace cairn::remote {

static std::string_view status_name(int status) {
  switch (status) {
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 307:
      return "Temporary Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 416:
      return "Range Not Satisfiable";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 507:
      return "Insufficient Storage";
    default:
      return "";
  }
}

std::string status_text(int status) {
  const std::string_view name = status_name(status);
  return name.empty() ? fmt::format("status {}", status) : fmt::format("{} {}", status, name);
}

std::string shown_long(std::string_view bytes) {
  constexpr size_t kPiece = 60;  // that shown() does not cut
  std::string text;
  for (size_t begin = 0; begin < bytes.size() && begin < 3 * kPiece; begin += kPiece) {
    text += shown(bytes.substr(begin, kPiece));
  }
  return bytes.size() > 3 * kPiece ? text + "..." : text;
}

static Code code_of_status(int status) {
  switch (status) {
    case 401:
    case 403:
    case 407:
      return Code::kAuth;
    case 404:
    case 410:
      return Code::kNotFound;
    case 409:
      return Code::kBusy;
    case 412:
      return Code::kExists;
    case 507:
      return Code::kNoSpace;
    default:
      return Code::kFailed;
  }
}

static std::string hint_of_status(int status) {
  switch (status) {
    case 401:
    case 403:
      return "a user and password stand in the URL (https://user:password@host/), or the header "
             "Authorization in CAIRN_HTTP_AUTHORIZATION";
    case 407:
      return "a proxy's user and password stand in its variable: https_proxy, http_proxy";
    default:
      return "";
  }
}

Error answer_error(const std::string& what, const HttpResponse& response, const std::string& told) {
  return {code_of_status(response.status), fmt::format("{}: {}", what, told),
          hint_of_status(response.status)};
}

}  // namespace cairn::remote
