// The fake NCCL of a test, in the order of simulated streams.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "gpu/nccl/nccl_library.h"
#include "tests/gpu/nccl/fake_nccl.h"

namespace cairn {

/// The library finds it as it would find NCCL, unless the system has one.
class NcclWorld {
 public:
  /// `file`: the fake's.
  static void enter(const char* file) {
    NcclWorld& world = get();
    world.handle_ = dlopen(file, RTLD_NOW);
    world.find("fake_nccl_set", world.set_);
    world.find("fake_nccl_use_streams", world.use_streams_);
    world.find("fake_nccl_counts", world.counts_);
    world.is_alone_ = dlopen("libnccl.so.2", RTLD_NOW) == nullptr;
    setenv("CAIRN_NCCL", file, 1);
    world.use_streams_(cairn_simulated_streams());
  }
  static bool is_alone() { return get().is_alone_; }
  /// For communicators that are made from now on.
  static void set(const FakeNcclFaults& faults) { get().set_(&faults); }
  static FakeNcclCounts counts() { return get().counts_(); }

 private:
  static NcclWorld& get() {
    static NcclWorld world;
    return world;
  }
  template <class Function>
  void find(const char* name, Function*& function) {
    void* address = dlsym(handle_, name);
    ASSERT_NE(address, nullptr) << name;
    std::memcpy(&function, &address, sizeof address);
  }

  void* handle_ = nullptr;
  bool is_alone_ = false;
  decltype(fake_nccl_set)* set_ = nullptr;
  decltype(fake_nccl_use_streams)* use_streams_ = nullptr;
  decltype(fake_nccl_counts)* counts_ = nullptr;
};

}  // namespace cairn
