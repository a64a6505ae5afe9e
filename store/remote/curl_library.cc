#include "store/remote/curl_library.h"

#include <array>
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/shared_library.h"

namespace cairn::remote {

// A handle of libcurl as distributions name it: what speaks OpenSSL first.
static constexpr std::array<const char*, 2> kNames = {"libcurl.so.4", "libcurl-gnutls.so.4"};
static constexpr const char* kPlace = "CAIRN_CURL";

using Library = std::shared_ptr<const CurlLibrary>;

static Result<Library> find_anywhere() {
  if (const char* path = std::getenv(kPlace); path != nullptr && *path != 0) {
    return CurlLibrary::open(path);
  }
  std::vector<std::string> tried;
  for (const char* name : kNames) {
    auto opened = CurlLibrary::open(name);
    if (opened) return opened;
    tried.push_back(opened.error().message);
  }
  return fail(Code::kFailed,
              fmt::format("remotes need libcurl, which is not here ({})", fmt::join(tried, "; ")),
              fmt::format("install libcurl (Debian: libcurl4), or set {} to its file", kPlace));
}

Result<Library> CurlLibrary::find() {
  static std::mutex mutex;
  static Library found;  // only what was found: a next call may have more luck
  const std::lock_guard lock(mutex);
  if (found != nullptr) return found;
  CAIRN_TRY(found, find_anywhere());
  return found;
}

Result<Library> CurlLibrary::open(const std::string& path) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle != nullptr) return load(handle, path);
  return fail(Code::kFailed, loader_reason(),
              fmt::format("install libcurl (Debian: libcurl4), or set {} to its file", kPlace));
}

/// What Cairn asks of a libcurl beyond its functions.
static Status check_features(const curl_version_info_data& info, const std::string& name) {
  if (info.version_num < CurlLibrary::kOldest) {
    return fail(Code::kFailed, fmt::format("{} is libcurl {}", name, info.version),
                "Cairn needs 7.66 or newer");
  }
  if ((info.features & CURL_VERSION_SSL) == 0) {
    return fail(Code::kFailed, fmt::format("{} speaks no TLS", name));
  }
  return {};
}

Result<Library> CurlLibrary::load(void* handle, const std::string& name) {
  auto made = std::make_shared<CurlLibrary>();
  FunctionTaker functions(handle);
  functions.take("curl_global_init", made->global_init);
  functions.take("curl_version_info", made->version_info);
  functions.take("curl_easy_init", made->easy_init);
  functions.take("curl_easy_setopt", made->easy_setopt);
  functions.take("curl_easy_getinfo", made->easy_getinfo);
  functions.take("curl_easy_pause", made->easy_pause);
  functions.take("curl_easy_reset", made->easy_reset);
  functions.take("curl_easy_cleanup", made->easy_cleanup);
  functions.take("curl_easy_strerror", made->easy_strerror);
  functions.take("curl_slist_append", made->slist_append);
  functions.take("curl_slist_free_all", made->slist_free_all);
  functions.take("curl_multi_init", made->multi_init);
  functions.take("curl_multi_setopt", made->multi_setopt);
  functions.take("curl_multi_add_handle", made->multi_add_handle);
  functions.take("curl_multi_remove_handle", made->multi_remove_handle);
  functions.take("curl_multi_perform", made->multi_perform);
  functions.take("curl_multi_poll", made->multi_poll);
  functions.take("curl_multi_wakeup", made->multi_wakeup);
  functions.take("curl_multi_info_read", made->multi_info_read);
  functions.take("curl_multi_cleanup", made->multi_cleanup);
  if (!functions.lacking().empty()) {
    return fail(Code::kFailed,
                fmt::format("{} lacks {}", name, fmt::join(functions.lacking(), ", ")),
                "Cairn needs libcurl 7.66 or newer");
  }
  const curl_version_info_data* info = made->version_info(CURLVERSION_NOW);
  CAIRN_CHECK(check_features(*info, name));
  if (made->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    return fail(Code::kFailed, fmt::format("{} does not start", name));
  }
  made->version_number_ = info->version_num;
  return Library(std::move(made));
}

}  // namespace cairn::remote
