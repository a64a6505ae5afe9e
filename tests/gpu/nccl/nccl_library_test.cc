// usage: nccl_library_test FAKE OLD LACKING (files of libraries)
#include "gpu/nccl/nccl_library.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace cairn::gpu {
namespace {

const char *fake, *old, *lacking;

TEST(NcclLibrary, IsOpenedByItsFile) {
  const auto library = NcclLibrary::open(fake);
  ASSERT_TRUE(library) << library.error().message;
  EXPECT_EQ((*library)->version(), 22304);
  NcclId id;
  EXPECT_EQ((*library)->get_unique_id(&id), kNcclSuccess);
}

TEST(NcclLibrary, IsLookedForWhereTheEnvironmentSays) {
  if (dlopen("libnccl.so.2", RTLD_NOW) != nullptr) GTEST_SKIP() << "there is an NCCL here";
  unsetenv("CAIRN_NCCL");
  const auto none = NcclLibrary::find();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kNotFound);
  EXPECT_NE(none.error().message.find("libnccl.so.2"), std::string::npos);
  EXPECT_NE(none.error().hint.find("CAIRN_NCCL"), std::string::npos);
  setenv("CAIRN_NCCL", fake, 1);
  EXPECT_TRUE(NcclLibrary::find());
  setenv("CAIRN_NCCL", "/nowhere/libnccl.so.2", 1);
  EXPECT_EQ(NcclLibrary::find().error().code, Code::kNotFound);
}

TEST(NcclLibrary, AnOldOneIsRefused) {
  const auto library = NcclLibrary::open(old);
  ASSERT_FALSE(library);
  EXPECT_EQ(library.error().code, Code::kFailed);
  EXPECT_NE(library.error().message.find("is NCCL 2.13.4"), std::string::npos);
  EXPECT_EQ(library.error().hint, "Cairn needs 2.14.0 or newer");
}

TEST(NcclLibrary, WhatItLacksIsTold) {
  const auto library = NcclLibrary::open(lacking);
  ASSERT_FALSE(library);
  EXPECT_NE(library.error().message.find("lacks ncclGetUniqueId, "), std::string::npos);
}

}  // namespace
}  // namespace cairn::gpu

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 4) return 2;
  cairn::gpu::fake = argv[1];
  cairn::gpu::old = argv[2];
  cairn::gpu::lacking = argv[3];
  return RUN_ALL_TESTS();
}
