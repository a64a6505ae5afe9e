#include "store/remote/open_backend.h"

#include <fmt/format.h>

#include "base/fs.h"
#include "store/remote/directory_backend.h"
#include "store/remote/http_backend.h"
#include "store/remote/s3_backend.h"

namespace cairn::remote {

static std::string_view scheme_of(std::string_view text) {
  const size_t end = text.find("://");
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end);
}

bool is_remote(std::string_view text) {
  const std::string_view scheme = scheme_of(text);
  return !scheme.empty() && scheme != "file";
}

std::string folder_of(std::string_view text) {
  if (scheme_of(text) != "file") return std::string(text);
  text.remove_prefix(std::string_view("file://").size());
  if (text.starts_with("localhost/")) text.remove_prefix(std::string_view("localhost").size());
  return std::string(text);
}

Result<std::unique_ptr<Backend>> open_backend(std::string_view text, const RemoteOptions& options) {
  if (!is_remote(text)) {
    return open_directory_backend(posix_fs(), folder_of(text), options.stop);
  }
  CAIRN_TRY(const Url url, parse_url(text));
  if (url.scheme == "http" || url.scheme == "https") return open_http_backend(url, options);
  if (url.scheme == "s3") return open_s3_backend(url, options);
  return fail(Code::kUsage, fmt::format("'{}' is a URL of an unknown scheme", url.shown()),
              "stores are reached by https://, s3://, file:// and folders");
}

}  // namespace cairn::remote
