// libcurl, opened when the first remote is used. It is not linked: libcairn lives in training
// processes that mostly never speak to a remote, and must start where there is no libcurl. Its
// header gives types and numbers only.
#pragma once

#define CURL_DISABLE_TYPECHECK  // the checks wrap functions that are not linked here
#include <curl/curl.h>

#include <memory>
#include <string>

#include "base/error.h"

namespace cairn::remote {

/// The functions that Cairn calls. Threads: any, as libcurl's own rules have it (a handle belongs
/// to one thread at a time).
class CurlLibrary {
 public:
  static constexpr unsigned kOldest = 0x074200;  ///< 7.66: the first with curl_multi_poll

  /// The file that the environment's CAIRN_CURL names; else `libcurl.so.4`, then
  /// `libcurl-gnutls.so.4`, where the system finds them. It stays loaded, and is looked for once.
  /// Errors: kFailed telling what was tried, or that it is too old, lacks a function or TLS.
  static Result<std::shared_ptr<const CurlLibrary>> find();
  /// That file. Errors: the same.
  static Result<std::shared_ptr<const CurlLibrary>> open(const std::string& path);

  unsigned version_number() const { return version_number_; }

  // As in curl.h.
  decltype(&curl_global_init) global_init = nullptr;
  decltype(&curl_version_info) version_info = nullptr;
  decltype(&curl_easy_init) easy_init = nullptr;
  decltype(&curl_easy_setopt) easy_setopt = nullptr;
  decltype(&curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&curl_easy_pause) easy_pause = nullptr;
  decltype(&curl_easy_reset) easy_reset = nullptr;
  decltype(&curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&curl_easy_strerror) easy_strerror = nullptr;
  decltype(&curl_slist_append) slist_append = nullptr;
  decltype(&curl_slist_free_all) slist_free_all = nullptr;
  decltype(&curl_multi_init) multi_init = nullptr;
  decltype(&curl_multi_setopt) multi_setopt = nullptr;
  decltype(&curl_multi_add_handle) multi_add_handle = nullptr;
  decltype(&curl_multi_remove_handle) multi_remove_handle = nullptr;
  decltype(&curl_multi_perform) multi_perform = nullptr;
  decltype(&curl_multi_poll) multi_poll = nullptr;
  decltype(&curl_multi_wakeup) multi_wakeup = nullptr;
  decltype(&curl_multi_info_read) multi_info_read = nullptr;
  decltype(&curl_multi_cleanup) multi_cleanup = nullptr;

 private:
  static Result<std::shared_ptr<const CurlLibrary>> load(void* handle, const std::string& name);
  unsigned version_number_ = 0;
};

}  // namespace cairn::remote
