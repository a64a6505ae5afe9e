// Code of others that goes wrong on the device.
#pragma once

#include "base/error.h"

namespace cairn::gpu {

/// Enqueues a kernel that writes where no memory is.
Status enqueue_bad_kernel();

}  // namespace cairn::gpu
