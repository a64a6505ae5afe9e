// What `ls` and `show` both say about a tag.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "store/manifest.h"
#include "store/store.h"

namespace cairn {

/// The user's metadata over that of the files.
Metadata merged_metadata(const Manifest& manifest);

/// `tag, manifest, created, step, sizes, pinned, metadata`.
nlohmann::ordered_json tag_json(const TagEntry& tag, const Manifest& manifest);

/// Reads a tag's manifest. Errors: kCorrupt naming the tag.
Result<Manifest> read_manifest(const Store& store, const TagEntry& tag);

}  // namespace cairn
