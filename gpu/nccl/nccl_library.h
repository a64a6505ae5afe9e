// NCCL, found when the program runs: torch brings one along, and two in one process do not share
// communicators. Its header is not needed to build; what of it is used is declared here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"

namespace cairn::gpu {

// Of nccl.h, unchanged since 2.14: types of its C interface, and numbers of its enumerations
// ncclResult_t and ncclDataType_t.

using NcclComm = void*;    ///< ncclComm_t
using NcclStream = void*;  ///< cudaStream_t

/// ncclUniqueId: names a communicator that is to be made.
struct NcclId {
  std::array<char, 128> bytes{};
};

/// ncclConfig_t as version 2.14 had it. Later versions have grown it at its end; they go by `size`
/// and `version` and take what is missing for the default.
struct NcclConfig {
  size_t size = sizeof(NcclConfig);
  unsigned magic = 0xcafe'beef;
  unsigned version = 21400;
  int blocking = 1;
};

inline constexpr int kNcclSuccess = 0, kNcclRemoteError = 6, kNcclInProgress = 7;
inline constexpr int kNcclUint8 = 1;

/// The functions that Cairn calls. Threads: any, but one at a time for a communicator.
class NcclLibrary {
 public:
  static constexpr int kOldest = 21400;  ///< the first with communicators that do not block

  /// The one that the process has loaded; else `libnccl.so.2` where the system finds it; else the
  /// file that the environment's CAIRN_NCCL names. It stays loaded. Errors: kNotFound telling what
  /// was tried; kFailed for one that is too old or lacks a function.
  static Result<std::shared_ptr<const NcclLibrary>> find();
  /// That file. Errors: the same.
  static Result<std::shared_ptr<const NcclLibrary>> open(const std::string& path);

  int version() const { return version_; }

  // As in nccl.h; each int is an ncclResult_t.
  int (*get_version)(int* version) = nullptr;
  int (*get_unique_id)(NcclId* id) = nullptr;
  int (*comm_init_rank_config)(NcclComm* comm, int ranks, NcclId id, int rank,
                               NcclConfig* config) = nullptr;
  int (*comm_get_async_error)(NcclComm comm, int* result) = nullptr;
  int (*comm_abort)(NcclComm comm) = nullptr;
  int (*comm_destroy)(NcclComm comm) = nullptr;
  int (*comm_count)(NcclComm comm, int* count) = nullptr;
  int (*comm_user_rank)(NcclComm comm, int* rank) = nullptr;
  int (*all_gather)(const void* own, void* all, size_t count, int type, NcclComm comm,
                    NcclStream stream) = nullptr;
  int (*broadcast)(const void* from, void* to, size_t count, int type, int root, NcclComm comm,
                   NcclStream stream) = nullptr;
  const char* (*get_error_string)(int result) = nullptr;
  const char* (*get_last_error)(NcclComm comm) = nullptr;

 private:
  static Result<std::shared_ptr<const NcclLibrary>> load(void* handle, const std::string& name);
  int version_ = 0;
};

}  // namespace cairn::gpu
