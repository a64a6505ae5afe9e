#include "lib/transfer/standing_tag.h"

#include <algorithm>
#include <set>

#include "store/tag_name.h"

namespace cairn {

/// So many tags of the same run are looked at: a run may have been forked, or gone on from an older
/// tag.
static constexpr size_t kOfPrefixMax = 4;

static bool is_of_run(const TagEntry& tag, const std::string& name) {
  return tag_prefix(tag.name) == tag_prefix(name);
}

static std::vector<const TagEntry*> candidates(const TagList& list, const std::string& name,
                                               const Digest& manifest) {
  std::vector<const TagEntry*> newest_first;
  for (const TagEntry& tag : list.tags) newest_first.push_back(&tag);
  std::sort(newest_first.begin(), newest_first.end(),
            [](const TagEntry* a, const TagEntry* b) { return a->commit > b->commit; });
  std::vector<const TagEntry*> chosen;
  size_t of_prefix = 0;
  bool has_same = false;
  for (const TagEntry* tag : newest_first) {
    const bool is_same = !has_same && tag->manifest.digest == manifest;
    const bool is_beside = is_of_run(*tag, name) && of_prefix++ < kOfPrefixMax;
    has_same = has_same || is_same;
    if (is_same || is_beside || tag->name == name || tag == newest_first.front()) {
      chosen.push_back(tag);
    }
  }
  return chosen;
}

static size_t shared_pages(const Store& to, const TagEntry& tag, const std::set<Digest>& pages) {
  const auto checkpoint = Checkpoint::open(to, tag);
  if (!checkpoint) return 0;
  const LocatorTable& table = (*checkpoint)->table();
  size_t shared = 0;
  for (size_t number = 0; number < table.page_count(); ++number) {
    shared += pages.count(table.place(number).page.digest);
  }
  return shared;
}

Result<std::optional<TagEntry>> choose_standing_tag(const Store& to, const std::string& name,
                                                    const Checkpoint& from) {
  CAIRN_TRY(const TagList list, to.read_tags());
  std::set<Digest> pages;
  for (size_t number = 0; number < from.table().page_count(); ++number) {
    pages.insert(from.table().place(number).page.digest);
  }
  std::optional<TagEntry> best;
  size_t most = 0;
  for (const TagEntry* tag : candidates(list, name, from.tag().manifest.digest)) {
    const size_t shared = shared_pages(to, *tag, pages);
    // Tensors of which every chunk changes share no page, and what they are made from may be shared
    // all the same.
    if (shared > most || (!best && is_of_run(*tag, name))) {
      best = *tag;
      most = shared;
    }
  }
  return best;
}

}  // namespace cairn
