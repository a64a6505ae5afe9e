// What encodings make of each class of tensors: bars and numbers. Pure.
#pragma once

#include <string>

#include "store/usage.h"

namespace cairn {

std::string reduction_table(const StoreUsage& usage);

}  // namespace cairn
