#include "gpu/nccl/nccl_library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include <fmt/format.h>

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
  const char* said = dlerror();
  const std::string why = said == nullptr ? "no reason given" : said;
  if (const char* path = std::getenv(kPlace); path != nullptr && *path != 0) return open(path);
  return fail(Code::kNotFound, fmt::format("no NCCL here: {}", why),
              fmt::format("import torch first, install NCCL, or set {} to its file", kPlace));
}

Result<std::shared_ptr<const NcclLibrary>> NcclLibrary::open(const std::string& path) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle != nullptr) return load(handle, path);
  const char* said = dlerror();
  return fail(Code::kNotFound, fmt::format("no NCCL: {}", said == nullptr ? path.c_str() : said));
}

Result<std::shared_ptr<const NcclLibrary>> NcclLibrary::load(void* handle,
                                                             const std::string& name) {
  auto made = std::make_shared<NcclLibrary>();
  std::vector<const char*> lacking;
  const auto get = [&](const char* symbol, auto& function) {
    void* address = dlsym(handle, symbol);
    if (address == nullptr) lacking.push_back(symbol);
    static_assert(sizeof address == sizeof function);
    std::memcpy(&function, &address, sizeof address);
  };
  get("ncclGetVersion", made->get_version);
  get("ncclGetUniqueId", made->get_unique_id);
  get("ncclCommInitRankConfig", made->comm_init_rank_config);
  get("ncclCommGetAsyncError", made->comm_get_async_error);
  get("ncclCommAbort", made->comm_abort);
  get("ncclCommDestroy", made->comm_destroy);
  get("ncclCommCount", made->comm_count);
  get("ncclCommUserRank", made->comm_user_rank);
  get("ncclAllGather", made->all_gather);
  get("ncclBroadcast", made->broadcast);
  get("ncclGetErrorString", made->get_error_string);
  get("ncclGetLastError", made->get_last_error);
  if (made->get_version != nullptr && made->get_version(&made->version_) != kNcclSuccess)
    return fail(Code::kFailed, fmt::format("{} does not tell its version", name));
  if (made->get_version != nullptr && made->version_ < kOldest)
    return fail(Code::kFailed, fmt::format("{} is NCCL {}", name, version_text(made->version_)),
                fmt::format("Cairn needs {} or newer", version_text(kOldest)));
  if (!lacking.empty())
    return fail(Code::kFailed, fmt::format("{} lacks {}", name, fmt::join(lacking, ", ")));
  return std::shared_ptr<const NcclLibrary>(std::move(made));
}

}  // namespace cairn::gpu
