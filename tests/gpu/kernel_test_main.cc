// The main of tests of kernels: skipped, with the reason, where there is no device to run them on.
#include <gtest/gtest.h>

#include <cstdio>

#include "gpu/device.h"

int main(int argc, char** argv) {
  const auto facts = cairn::gpu::device_facts();
  if (!facts) {
    std::printf("skipped: %s: %s\n", facts.error().message.c_str(), facts.error().hint.c_str());
    return 77;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
