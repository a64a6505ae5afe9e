// What a save did, as the program and the C ABI tell it (docs/cli/import.md).
#pragma once

#include <nlohmann/json.hpp>

#include "lib/cairn.hpp"

namespace cairn {

nlohmann::ordered_json save_json(const SaveResult& saved);

}  // namespace cairn
