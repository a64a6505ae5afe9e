// A copy may be made from others (its bases), and these from others again, but never from itself: a
// base comes from an earlier save, or from an earlier place in the same one. Copies keep their page
// and slot when gc moves them, so what was no circle when it was saved never becomes one: only a
// store that is damaged, or made to harm, has circles.
#pragma once

#include "store/bases.h"

namespace cairn {

/// Whether one of the tag's copies, or one that it is made from, needs itself. Errors: those of
/// `read`; kCorrupt for a base that does not exist.
Result<bool> has_base_cycle(const LocatorTable& table, const ReadLocator& read);

}  // namespace cairn
