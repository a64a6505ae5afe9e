// Store-wide look-ups by a helper that is started when the first new chunk is met: what brings
// nothing new needs none.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/output.h"
#include "lib/cairn.hpp"
#include "store/index_helper.h"

namespace cairn {

/// A helper that cannot be had costs a warning and the look-ups; beside a bucket there is no index,
/// and so no look-up. `doing`: "saving". Threads: one.
LookUp lazy_look_up(Output& output, const std::string& store, std::string doing);

}  // namespace cairn
