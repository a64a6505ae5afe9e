// Whether this program may write to a store: where it lies, and by what features.
#pragma once

#include <string>

#include "store/store.h"

namespace cairn {

/// Errors: kUsage where nothing can be written, on a web server. `path`: of the store.
Status check_place_is_written(Fs& fs, const std::string& path);
/// The same, and kNewerFormat where the store asks writers for a feature this program does not
/// know.
Status check_may_write(const Store& store);

}  // namespace cairn
