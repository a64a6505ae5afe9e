#include "lib/device/rebuild.h"

#include <algorithm>

#include "base/buffer.h"

namespace cairn {
namespace {

class Rebuilder {
 public:
  Rebuilder(const TransferRecipes& recipes, std::span<const SentUnit> sent,
            std::span<const MutableBytes> before, std::span<const MutableBytes> now)
      : recipes_(recipes), sent_(sent), before_(before), now_(now), is_made_(recipes.size()) {}

  /// Units whose sources are made come first.
  Status run() {
    for (size_t made = 0; made < recipes_.size();) {
      const size_t made_before = made;
      for (size_t i = 0; i < recipes_.size(); ++i) {
        if (is_made_[i] || !is_ready(i)) continue;
        CAIRN_CHECK(make(i));
        is_made_[i] = true;
        ++made;
      }
      if (made == made_before) return fail(Code::kBug, "recipes that wait for each other");
    }
    return {};
  }

 private:
  bool is_ready(size_t i) const {
    const auto& sources = recipes_[i].sources;
    return std::all_of(sources.begin(), sources.end(), [&](const WaySource& source) {
      return source.before || is_made_[source.member];
    });
  }

  ByteSpan source(const WaySource& source) const {
    return source.before ? before_[source.member] : now_[source.member];
  }

  Status predict(size_t i) const {
    const TransferRecipe& recipe = recipes_[i];
    if (recipe.way == Way::kDerived) {
      cast_items(recipe.cast, source(recipe.sources[0]), now_[i]);
      return {};
    }
    std::vector<ByteSpan> bases;
    for (const WaySource& each : recipe.sources) bases.push_back(source(each));
    return predict_replay(recipe.parameters, bases, sent_[i].gradient, now_[i]);
  }

  Status make(size_t i) const {
    const TransferRecipe& recipe = recipes_[i];
    const MutableBytes now = now_[i];
    if (recipe.way == Way::kPlanes) {
      std::copy(sent_[i].whole.begin(), sent_[i].whole.end(), now.begin());
      return {};
    }
    thread_local AlignedBuffer room;
    if (room.size() < now.size()) room = AlignedBuffer(now.size());
    const MutableBytes residuals = room.span().first(now.size());
    CAIRN_CHECK(unpack_codes(sent_[i].codes, residuals));
    if (recipe.way == Way::kDelta) {
      const ByteSpan before = source(recipe.sources[0]);
      for (size_t at = 0; at < now.size(); ++at) now[at] = before[at] ^ residuals[at];
      return {};
    }
    CAIRN_CHECK(predict(i));
    apply_residuals(residuals, recipe.form, now);
    return {};
  }

  const TransferRecipes& recipes_;
  const std::span<const SentUnit> sent_;
  const std::span<const MutableBytes> before_, now_;
  std::vector<bool> is_made_;
};

}  // namespace

Status rebuild(const TransferRecipes& recipes, std::span<const SentUnit> sent,
               std::span<const MutableBytes> before, std::span<const MutableBytes> now) {
  return Rebuilder(recipes, sent, before, now).run();
}

}  // namespace cairn
