// Goes on from what was left in an object store, where nothing is renamed and nothing appended: the
// tag refers to the packs that were whole by then where they lie.
#pragma once

#include <vector>

#include "lib/transfer/left_packs.h"

namespace cairn {

/// Of sessions that can write and remove nothing any more. A pack says by its sealed table what it
/// holds: what it took was checked before it was sent, as everything is that is pushed. What cannot
/// be read is passed over. `origin`: of this transfer.
Resumed find_left_in_bucket(const Store& to, const Origin& origin,
                            const std::vector<Fetch>& fetches);

}  // namespace cairn
