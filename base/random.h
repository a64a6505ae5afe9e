// Bytes nobody can guess and nobody has drawn before.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

namespace cairn {

/// From the kernel. Threads: any.
Status random_bytes(MutableBytes out);

}  // namespace cairn
