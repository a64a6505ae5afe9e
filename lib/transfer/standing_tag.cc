#include "lib/transfer/standing_tag.h"

#include <fmt/format.h>

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

/// As it is now: it may have been moved since the list was read.
static Result<std::unique_ptr<Checkpoint>> open_listed(const Store& to, const TagEntry& tag) {
  auto opened = Checkpoint::open(to, tag);
  if (opened || opened.error().code != Code::kNotFound) return opened;
  return open_tag(to, tag.name);
}

static size_t shared_pages(const Checkpoint& checkpoint, const std::set<Digest>& pages) {
  const LocatorTable& table = checkpoint.table();
  size_t shared = 0;
  for (size_t number = 0; number < table.page_count(); ++number) {
    shared += pages.count(table.place(number).page.digest);
  }
  return shared;
}

std::string passed_over_note(const Store& store, const std::string& tag, const Error& why) {
  return fmt::format("tag '{}' of '{}' is not built upon: {}", tag, store.path(), why.message);
}

Result<StandingTag> choose_standing_tag(const Store& to, const std::string& name,
                                        const Checkpoint& from, const Cargo& cargo,
                                        const std::vector<Reference>& passed_over) {
  CAIRN_TRY(const TagList list, to.read_tags());
  std::set<Digest> pages;
  for (const CargoPage& page : cargo.pages) pages.insert(page.digest);
  for (const PagePlace& place : from.table().closure) pages.insert(place.page.digest);
  StandingTag best;
  size_t most = 0;
  for (const TagEntry* tag : candidates(list, name, cargo.digest())) {
    const auto is_passed_over = [&](const Reference& table) {
      return std::find(passed_over.begin(), passed_over.end(), table) != passed_over.end();
    };
    if (is_passed_over(tag->table)) continue;
    const auto opened = open_listed(to, *tag);
    if (!opened) {
      const Code code = opened.error().code;
      if (code == Code::kUnreachable || code == Code::kAuth) return tl::unexpected(opened.error());
      if (code != Code::kNotFound) {
        best.notes.push_back(passed_over_note(to, tag->name, opened.error()));
      }
      continue;
    }
    const Checkpoint& checkpoint = **opened;
    if (is_passed_over(checkpoint.tag().table)) continue;
    const size_t shared = shared_pages(checkpoint, pages);
    // Tensors of which every chunk changes share no page, and what they are made from may be shared
    // all the same.
    if (shared > most || (!best.tag && is_of_run(*tag, name))) {
      best.tag = checkpoint.tag();
      most = shared;
    }
  }
  return best;
}

}  // namespace cairn
