// Looking at all tags while a collector may move what they need.
#pragma once

#include <utility>

#include "store/store.h"

namespace cairn {

/// What `look` makes of the tags. Where it finds files gone or damaged and the store has changed
/// meanwhile, it looks again at the tags of then, some times; what is gone from a store that has
/// not changed is damage.
template <class Look>
auto look_at_tags(const Store& store, const Look& look) -> decltype(look(TagList())) {
  constexpr int kLooksMax = 5;
  for (int attempt = 1;; ++attempt) {
    CAIRN_TRY(TagList tags, store.read_tags());
    const uint64_t commit = tags.commit;
    auto seen = look(std::move(tags));
    if (seen) return seen;
    Error error = seen.error();
    if (error.code != Code::kNotFound && error.code != Code::kCorrupt) return seen;
    CAIRN_TRY(const TagBook now, store.read_book());
    if (now.commit() != commit && attempt < kLooksMax) continue;
    error.code = Code::kCorrupt;
    if (error.hint.empty()) error.hint = "run 'cairn check'";
    return tl::unexpected(std::move(error));
  }
}

}  // namespace cairn
