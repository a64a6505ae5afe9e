#include "gpu/nccl/nccl_library.h"

#include <cstdlib>

#include <fmt/format.h>

#include "base/shared_library.h"

namespace cairn::gpu {

static constexpr const char* kName = "libnccl.so.2";
static constexpr const char* kPlace = "CAIRN_NCCL";

static std::string version_text(int version) {
  return fmt::format("{}.{}.{}", version / 10'000, version / 100 % 100, version % 100);
}

Result<std::shared_ptr<const NcclLibrary>> NcclLibrary::find() {
  void* handle = dlopen(kName, RTLD_NOW | RTLD_NOLOAD);
  if (handle != nullptr) return load(handle, kName);
  handle = dlopen(kName, RTLD_NOW | RTLD_LOCAL);
  if (handle != nullptr) return load(handle, kName);
  const std::string why = loader_reason();
  if (const char* path = std::getenv(kPlace); path != nullptr && *path != 0) return open(path);
  return fail(Code::kNotFound, fmt::format("no NCCL here: {}", why),
              fmt::format("import torch first, install NCCL, or set {} to its file", kPlace));
}

Result<std::shared_ptr<const NcclLibrary>> NcclLibrary::open(const std::string& path) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle != nullptr) return load(handle, path);
  return fail(Code::kNotFound, fmt::format("no NCCL: {}", loader_reason()));
}

Result<std::shared_ptr<const NcclLibrary>> NcclLibrary::load(void* handle,
                                                             const std::string& name) {
  auto made = std::make_shared<NcclLibrary>();
  FunctionTaker functions(handle);
  functions.take("ncclGetVersion", made->get_version);
  functions.take("ncclGetUniqueId", made->get_unique_id);
  functions.take("ncclCommInitRankConfig", made->comm_init_rank_config);
  functions.take("ncclCommGetAsyncError", made->comm_get_async_error);
  functions.take("ncclCommAbort", made->comm_abort);
  functions.take("ncclCommDestroy", made->comm_destroy);
  functions.take("ncclCommCount", made->comm_count);
  functions.take("ncclCommUserRank", made->comm_user_rank);
  functions.take("ncclAllGather", made->all_gather);
  functions.take("ncclBroadcast", made->broadcast);
  functions.take("ncclGetErrorString", made->get_error_string);
  functions.take("ncclGetLastError", made->get_last_error);
  if (made->get_version != nullptr && made->get_version(&made->version_) != kNcclSuccess)
    return fail(Code::kFailed, fmt::format("{} does not tell its version", name));
  if (made->get_version != nullptr && made->version_ < kOldest)
    return fail(Code::kFailed, fmt::format("{} is NCCL {}", name, version_text(made->version_)),
                fmt::format("Cairn needs {} or newer", version_text(kOldest)));
  if (!functions.lacking().empty())
    return fail(Code::kFailed,
                fmt::format("{} lacks {}", name, fmt::join(functions.lacking(), ", ")));
  return std::shared_ptr<const NcclLibrary>(std::move(made));
}

}  // namespace cairn::gpu
