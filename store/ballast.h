// A file that takes up room for nothing else than to give it back: on a full disk `root`, which is
// replaced and not overwritten, needs room once more before anything can be freed.
#pragma once

#include <functional>

#include "store/store.h"

namespace cairn {

/// Room for a root of 640 inline tags and a list of some thousand files.
inline constexpr uint64_t kBallastBytes = 384 * kKiB;

/// Makes the ballast if it is not there.
Status make_ballast(Fs& fs, const std::string& store_path);

/// Runs `change`, which shall free space in the end; when there is no room for it, once more
/// without the ballast, and then without the index that lies in the store, which is a cache, unless
/// someone writes it. Makes the ballast again where there is room; else the next collection does.
Status with_ballast(const Store& store, const std::function<Status()>& change);

}  // namespace cairn
