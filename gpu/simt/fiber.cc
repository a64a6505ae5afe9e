#include "gpu/simt/fiber.h"

#include <ucontext.h>

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
  if (!has_ended_) has_begun_ = false;  // nobody waits for what stands there
  entry_ = entry;
  argument_ = argument;
  has_ended_ = false;
  if (tsan_own_ == nullptr) tsan_own_ = __tsan_create_fiber(0);
  order_release(this);
  return true;
}

void Fiber::run(unsigned low, unsigned high) {
  auto* self = reinterpret_cast<Fiber*>(uintptr_t{high} << 32 | low);
  while (true) {
    order_acquire(self);  // knows what its maker has seen
    self->entry_(self->argument_);
    self->has_ended_ = true;
    self->suspend();
  }
}

void Fiber::begin() {
  has_begun_ = true;
  ucontext_t here, there;
  getcontext(&there);
  there.uc_stack.ss_sp = stack_.data();
  there.uc_stack.ss_size = kStackBytes;
  there.uc_link = nullptr;
  // makecontext passes numbers of the size of an int only.
  const auto self = reinterpret_cast<uintptr_t>(this);
  makecontext(&there, reinterpret_cast<void (*)()>(run), 2, static_cast<unsigned>(self),
              static_cast<unsigned>(self >> 32));
  swapcontext(&here, &there);
}

// swapcontext asks the kernel for the mask of signals each time, which takes most of a test's time;
// so it only begins a stack. These two may not be in one function.
[[gnu::noinline]] static void jump(void** place) { __builtin_longjmp(place, 1); }

[[gnu::noinline]] void Fiber::resume() {
  tsan_caller_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(tsan_own_, __tsan_switch_to_fiber_no_sync);
  if (__builtin_setjmp(caller_place_) != 0) return;
  if (has_begun_) jump(own_place_);
  begin();
}

[[gnu::noinline]] void Fiber::suspend() {
  __tsan_switch_to_fiber(tsan_caller_, __tsan_switch_to_fiber_no_sync);
  if (__builtin_setjmp(own_place_) == 0) jump(caller_place_);
}

}  // namespace cairn::gpu::simt
