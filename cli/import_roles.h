// What `cairn import --roles` says of the tensors, with a warning of all that was meant to say
// something and does not: such facts cost no error, only bytes, and nobody would notice.
#pragma once

#include <string>
#include <vector>

#include "cli/output.h"
#include "lib/cairn.hpp"

namespace cairn {

/// Warns of facts of the optimizer that are no numbers. `metadata`: as the user gave it.
void warn_of_facts(Output& output, const Metadata& metadata);

/// Says what the tensors are to their optimizer, and what is known of its step. `roles`: a file,
/// "auto" or "none". `metadata`: of the tag, for "auto". Errors: kUsage, kNotFound.
Status import_roles(Output& output, const std::string& roles, const Metadata& metadata,
                    std::vector<TensorSource>& tensors, OptimizerFacts& optimizer);

}  // namespace cairn
