#include "base/replay/ops.h"

#include <atomic>

namespace cairn {
namespace {

const ReplayOps* find_ops(std::string_view name) {
#ifdef __x86_64__
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if ((name == "avx512" || name == "auto") && has_avx512) return &kReplayOpsAvx512;
  if ((name == "avx2" || name == "auto") && has_avx2) return &kReplayOpsAvx2;
#endif
  return name == "portable" || name == "auto" ? &kReplayOpsPortable : nullptr;
}

std::atomic<const ReplayOps*> chosen = nullptr;

}  // namespace

const ReplayOps& replay_ops() {
  const ReplayOps* ops = chosen.load(std::memory_order_relaxed);
  if (ops == nullptr) {
    ops = find_ops("auto");
    chosen.store(ops, std::memory_order_relaxed);
  }
  return *ops;
}

bool use_replay_ops(std::string_view name) {
  const ReplayOps* ops = find_ops(name);
  if (ops != nullptr) chosen.store(ops, std::memory_order_relaxed);
  return ops != nullptr;
}

}  // namespace cairn
