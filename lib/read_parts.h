// Finds the parts of a save, and what they count on.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/base_tag.h"
#include "lib/cairn.hpp"
#include "lib/part.h"

namespace cairn {

/// The parts that the request names, in its order. Errors: kNotFound for one that is gone, kUsage
/// for one of another tag or step and for one that is named twice, kCorrupt.
Result<std::vector<Part>> read_parts(const Store& store, const SaveRequest& request);

/// The tag to compare with: the request's, or where it names none that of the parts.
std::optional<std::string> base_name(const SaveRequest& request, std::span<const Part> parts);

/// Whether the copies of all parts can be found from `base`, which may be null. A base whose copies
/// lie elsewhere by now is as good. Errors: kUsage when a part was compared with another tag than
/// the request names, kBusy when that tag has changed since.
Status check_parts_base(std::span<const Part> parts, const SaveRequest& request,
                        const BaseTag* base);

/// Those of the packs that neither the session's lease nor the base's protects: parts have written
/// or found them. The commit must look at them. `base`: may be null.
std::vector<FileId> unleased_packs(std::span<const FileId> packs, const SessionId& session,
                                   const BaseTag* base);

}  // namespace cairn
