// A folder as a backend: what the others do over a network, on a file system.
#pragma once

#include "base/fs.h"
#include "store/remote/backend.h"

namespace cairn::remote {

/// Conditions are checked and met under the store's own `lock`, so that saves into the same folder
/// are kept out too. Versions are digests of contents, told by read_whole() and put() alone.
/// Uploads lie in `uploads/` until they are complete; then their parts are copied together.
std::unique_ptr<Backend> open_directory_backend(Fs& fs, const std::string& path,
                                                const std::atomic<bool>* stop);

}  // namespace cairn::remote
