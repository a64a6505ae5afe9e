// Bytes nobody can guess and nobody has drawn before.
#pragma once

#include <random>

#include "base/bytes.h"
#include "base/error.h"

namespace cairn {

/// From the kernel. Threads: any.
Status random_bytes(MutableBytes out);

/// A quick generator that starts somewhere else each time.
std::mt19937_64 seeded_random();

}  // namespace cairn
