// What a pack says it holds, read from its end. Checks and salvage need it; reading a tag does not.
#pragma once

#include <vector>

#include "base/fs.h"
#include "store/file_id.h"
#include "store/pack_format.h"

namespace cairn {

/// Rows of the table of a data pack or metadata pack, in the order in which they lie.
/// Errors: kNotFound; kCorrupt when header, table or trailer are damaged.
Result<std::vector<PackedCopy>> list_copies(Fs& fs, const std::string& store_path,
                                            const FileId& file);
Result<std::vector<PackedObject>> list_objects(Fs& fs, const std::string& store_path,
                                               const FileId& file);

}  // namespace cairn
