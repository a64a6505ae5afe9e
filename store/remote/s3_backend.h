// A store's files as objects of a bucket.
#pragma once

#include "store/remote/backend.h"
#include "store/remote/open_backend.h"
#include "store/remote/url.h"

namespace cairn::remote {

/// `url`: `s3://bucket/prefix`. Errors: those of S3Client::make().
Result<std::unique_ptr<Backend>> open_s3_backend(const Url& url, const RemoteOptions& options);

}  // namespace cairn::remote
