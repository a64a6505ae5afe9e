#include "base/encodings/item_kernel.h"

#include <atomic>

namespace cairn {

static const ItemKernel* widest_kernel() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
      __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt")) {
    return &kItemsAvx2;
  }
#endif
  return &kItemsPortable;
}

static std::atomic<const ItemKernel*>& chosen_kernel() {
  static std::atomic<const ItemKernel*> chosen = widest_kernel();
  return chosen;
}

const ItemKernel& item_kernel() { return *chosen_kernel().load(std::memory_order_relaxed); }

void use_item_kernel(const ItemKernel* kernel) {
  chosen_kernel().store(kernel == nullptr ? widest_kernel() : kernel, std::memory_order_relaxed);
}

}  // namespace cairn
