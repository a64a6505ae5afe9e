// Whether a file system does what the protocol stands on: exclusive creation, locks that exclude,
// renames that replace, syncs of files and folders.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fs.h"

namespace cairn {

/// Tries them in `folder` with files of its own, which it removes. Errors: kFailed naming what does
/// not hold; the errors of the file system as they are.
Status probe_file_system(Fs& fs, const std::string& folder);
/// Whether a file of this name is one of them.
bool is_probe(std::string_view name);

}  // namespace cairn
