// A store's files on a web server: to be read, from any server that serves files.
#pragma once

#include "store/remote/backend.h"
#include "store/remote/request_sender.h"

namespace cairn::remote {

/// A folder of a web server, and what its requests carry.
struct HttpPlace {
  Url url;
  std::string authorization;  ///< a header's value; empty: none

  HttpPlace(Url url, const Environment& environment);
  HttpRequest request(const char* method, const std::string& key) const;
};

/// `url`: of the folder; its query goes along with every request (signed URLs), its user and
/// password as Basic authorization; the environment's CAIRN_HTTP_AUTHORIZATION is the header of
/// that name.
Result<std::unique_ptr<Backend>> open_http_backend(const Url& url, const RemoteOptions& options);

}  // namespace cairn::remote
