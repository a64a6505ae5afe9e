// A copy may be made from others (its bases), and these from others again, but never from itself: a
// base comes from an earlier save, or from an earlier place in the same one. Copies keep their page
// and slot when gc moves them, so what was no circle when it was saved never becomes one.
#pragma once

#include <functional>

#include "store/locator.h"

namespace cairn {

/// Whether among the copies of `page_count` pages there is one that needs itself. `read` gives the
/// locator of a page by its number in the locator table. Errors: those of `read`; kCorrupt for a
/// base that does not exist.
Result<bool> has_base_cycle(size_t page_count,
                            const std::function<Result<Locator>(size_t page)>& read);

}  // namespace cairn
