#include "lib/formats/torch_dtype.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

TEST(TorchDtype, ThereAndBack) {
  for (int code = 1; code <= 22; ++code) {
    const auto dtype = static_cast<Dtype>(code);
    const std::string_view name = torch_dtype_name(dtype);
    if (name.empty()) continue;  // sub-byte
    EXPECT_EQ(dtype_of_torch(name), dtype);
    EXPECT_TRUE(is_torch_dtype(name));
    const std::string_view storage = storage_name(dtype);
    EXPECT_TRUE(is_torch_storage(storage));
    if (storage != kUntypedStorage) {
      EXPECT_EQ(dtype_of_storage(storage), dtype);
    }
  }
}

TEST(TorchDtype, WhatPyTorchHasOrCairn) {
  EXPECT_EQ(torch_dtype_name(Dtype::kF6E2M3), "");
  EXPECT_EQ(storage_name(Dtype::kF8E4M3), kUntypedStorage);
  EXPECT_EQ(dtype_of_storage("torch.cuda.BFloat16Storage"), Dtype::kBF16);
  EXPECT_EQ(dtype_of_storage(kUntypedStorage), std::nullopt);
  EXPECT_EQ(dtype_of_torch("torch.complex128"), std::nullopt);
  EXPECT_TRUE(is_torch_dtype("torch.complex128"));
  EXPECT_FALSE(is_torch_dtype("torch.load"));
  EXPECT_FALSE(is_torch_storage("torch.Storage"));
}

}  // namespace
}  // namespace cairn
