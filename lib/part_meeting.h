// Saving a tag by several processes that do not talk: their parts meet as files in the store, and
// who comes last makes the tag (docs/PROTOCOL.md, section 7).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "lib/cairn.hpp"
#include "lib/save_part.h"

namespace cairn {

struct Meeting {
  uint32_t rank = 0, ranks = 1;
  std::chrono::milliseconds longest{600'000};  ///< to wait for the others
  std::string job = {};  ///< only parts of processes that say the same are united
};

/// Waits until all ranks have stored their parts of the request's tag and one of them has made it;
/// the part is ended. `request`: as of the part, without tensors and attachments. Returns save_json
/// of the tag. Errors: kUnreachable naming the ranks that did not come; what the tag could not be
/// made for, in all ranks.
Result<nlohmann::ordered_json> meet(const Store& store, const SaveRequest& request, SavedPart& part,
                                    const Meeting& meeting);

}  // namespace cairn
