// Goes on from a push that was killed, or gave up: in an object store, where nothing is renamed and
// nothing appended, the tag refers to the packs that were whole by then where they lie.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/transfer/transfer_plan.h"
#include "store/arrivals.h"

namespace cairn {

/// What a dry run says of what was left.
struct LeftBytes {
  uint64_t bytes = 0;                   ///< stored, of copies that are wanted
  std::vector<std::string> notes = {};  ///< what could not be looked at, and why
};

struct LeftPacks {
  /// Per fetch, where it lies; bases as in Fetched. Empty: nothing was left.
  std::vector<std::optional<Copy>> copies;
  uint64_t bytes = 0;      ///< stored, of those
  std::set<FileId> packs;  ///< of those: no lease protects them, so the commit looks at them
  std::vector<std::string> journals;  ///< to be removed once the tag is there
  std::vector<std::string> notes;     ///< what was passed over, and why
};

/// Of sessions that brought `origin` to `to` and can write and remove nothing any more. A pack says
/// by its sealed table what it holds: what it took was checked before it was sent, as everything
/// is that is pushed. What cannot be read is passed over.
LeftPacks find_left_packs(const Store& to, const Origin& origin, const std::vector<Fetch>& fetches);
/// What that would find now. Changes nothing.
LeftBytes look_at_left_packs(const Store& to, const Origin& origin,
                             const std::vector<Fetch>& fetches);

}  // namespace cairn
