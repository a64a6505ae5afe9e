#include "gpu/simt/fiber.h"

#include <cstdint>

#ifdef CAIRN_SIMT_TSAN
#include <sanitizer/tsan_interface.h>
#else
// NOLINTBEGIN(bugprone-reserved-identifier): the names of the sanitizer's interface
static void* __tsan_get_current_fiber() { return nullptr; }
static void* __tsan_create_fiber(unsigned) { return nullptr; }
static void __tsan_destroy_fiber(void*) {}
static void __tsan_switch_to_fiber(void*, unsigned) {}
static void __tsan_acquire(void*) {}
static void __tsan_release(void*) {}
// NOLINTEND(bugprone-reserved-identifier)
static constexpr unsigned __tsan_switch_to_fiber_no_sync = 1;
#endif

namespace cairn::gpu::simt {

void order_release(void* object) { __tsan_release(object); }
void order_acquire(void* object) { __tsan_acquire(object); }

// Kernels keep little on the stack; a sanitizer's frames are larger.
static constexpr size_t kStackBytes = size_t{64} << 10;

Fiber::~Fiber() {
  if (tsan_own_ != nullptr) __tsan_destroy_fiber(tsan_own_);
}

bool Fiber::prepare(Entry entry, void* argument) {
  if (stack_.data() == nullptr) stack_ = FreshMemory(kStackBytes);
  if (stack_.data() == nullptr) return false;
  entry_ = entry;
  argument_ = argument;
  has_ended_ = false;
  if (tsan_own_ == nullptr) tsan_own_ = __tsan_create_fiber(0);
  order_release(this);
  getcontext(&own_);
  own_.uc_stack.ss_sp = stack_.data();
  own_.uc_stack.ss_size = kStackBytes;
  own_.uc_link = nullptr;
  // makecontext passes numbers of the size of an int only.
  const auto self = reinterpret_cast<uintptr_t>(this);
  makecontext(&own_, reinterpret_cast<void (*)()>(begin), 2, static_cast<unsigned>(self),
              static_cast<unsigned>(self >> 32));
  return true;
}

void Fiber::begin(unsigned low, unsigned high) {
  auto* self = reinterpret_cast<Fiber*>(uintptr_t{high} << 32 | low);
  order_acquire(self);  // knows what its maker has seen
  self->entry_(self->argument_);
  self->has_ended_ = true;
  self->suspend();
}

void Fiber::resume() {
  tsan_caller_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(tsan_own_, __tsan_switch_to_fiber_no_sync);
  swapcontext(&caller_, &own_);
}

void Fiber::suspend() {
  __tsan_switch_to_fiber(tsan_caller_, __tsan_switch_to_fiber_no_sync);
  swapcontext(&own_, &caller_);
}

}  // namespace cairn::gpu::simt
