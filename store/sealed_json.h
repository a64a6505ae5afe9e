// One-line JSON whose last member is the digest of the bytes before it (docs/FORMAT.md, section 2):
// readable by people and tools, and damage to any byte shows.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace cairn {

/// As nlohmann's parser, without throwing: discarded when it is no JSON, or nested so deeply that
/// small text would take much memory.
nlohmann::json parse_json(std::string_view text);
/// REQUIRES: `object` is a JSON object without a member "blake3".
std::string seal_json(const nlohmann::json& object);
/// The object, without its seal. Errors: kCorrupt, naming `what`.
Result<nlohmann::json> unseal_json(ByteSpan text, std::string_view what);

}  // namespace cairn
