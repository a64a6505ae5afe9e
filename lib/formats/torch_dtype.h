// PyTorch's names of dtypes and of storages.
#pragma once

#include <optional>
#include <string_view>

#include "lib/dtype.h"

namespace cairn {

/// "torch.bfloat16". nullopt: Cairn has no such dtype.
std::optional<Dtype> dtype_of_torch(std::string_view name);
/// "" where PyTorch has no such dtype.
std::string_view torch_dtype_name(Dtype dtype);

/// "torch.FloatStorage". nullopt: an untyped one, or a dtype that Cairn has not.
std::optional<Dtype> dtype_of_storage(std::string_view name);
/// Bytes of an element; 1 for untyped storages and names of none.
uint32_t storage_item_bytes(std::string_view name);
/// The class that torch.save names for a tensor of the dtype: typed for those that PyTorch had
/// before storages lost their types, "torch.storage.UntypedStorage" for later ones.
std::string_view storage_name(Dtype dtype);
inline constexpr std::string_view kUntypedStorage = "torch.storage.UntypedStorage";

/// Whether PyTorch has a dtype, or a storage, of that name, also one that Cairn has not.
bool is_torch_dtype(std::string_view name);
bool is_torch_storage(std::string_view name);

}  // namespace cairn
