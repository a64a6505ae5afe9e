// (1) Every tag's metadata is read and decoded, which checks its digests; its parts must fit each
// other; its copies are gathered. (2) Every metadata pack and data pack in use is looked at. (3)
// The data is read. (4) For copies found damaged the tags are walked once more to name the tensors
// that need them. (5) Tags that seem damaged and that changed meanwhile are looked at again.
#include "lib/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include "lib/chain_check.h"
#include "lib/copy_check.h"
#include "lib/tag_rules.h"
#include "store/base_cycles.h"
#include "store/checkpoint.h"
#include "store/pack_table.h"
#include "store/seen_copies.h"

namespace cairn {
namespace {

class Checker {
 public:
  Checker(const Store& store, const CheckRequest& request)
      : store_(store), request_(request), copies_(store, request, report_) {}

  /// Before run().
  void know(const Checker& earlier) { copies_.know(earlier.copies_); }

  Result<CheckReport> run() {
    for (const TagEntry& tag : request_.tags) {
      CAIRN_CHECK(not_stopped(request_));
      CAIRN_CHECK(gather(tag));
    }
    CAIRN_CHECK(check_meta_packs());
    CAIRN_CHECK(copies_.check_packs());
    if (request_.read_percent) CAIRN_CHECK(read_data());
    for (const TagEntry& tag : request_.tags) {
      if (!copies_.found_none()) CAIRN_CHECK(name_users(tag));
    }
    report_.tags = request_.tags.size();
    return std::move(report_);
  }

 private:
  /// First each copy by itself, then those that are made from others, the newest tags first: what
  /// their chains go through is proven with them.
  Status read_data() {
    CAIRN_CHECK(copies_.read_data());
    if (report_.out_of_time) return {};
    ChainCheck chains(store_, request_, report_, copies_);
    for (auto tag = request_.tags.rbegin(); tag != request_.tags.rend(); ++tag) {
      CAIRN_CHECK(not_stopped(request_));
      const auto checkpoint = open_tag_as_it_is(*tag);
      if (checkpoint) CAIRN_CHECK(chains.check(**checkpoint));
    }
    report_.bytes_read += chains.read_bytes();
    return {};
  }

  /// Records damage of a tag's metadata; passes on what is none.
  Status note(const TagEntry& tag, const Error& error) {
    if (!is_damage(error)) return tl::unexpected(error);
    report_.damage.push_back({"metadata", tag.name, "", "", std::nullopt, error.message});
    return {};
  }

  Status gather(const TagEntry& tag) {
    auto checkpoint = open_tag_as_it_is(tag);
    if (!checkpoint) return note(tag, checkpoint.error());
    for (const Reference* reference : {&tag.manifest, &tag.schema, &tag.table}) {
      metas_.insert(reference->file);
    }
    if (tag.layout) metas_.insert(tag.layout->file);
    const auto layout = (*checkpoint)->layout();
    if (!layout) CAIRN_CHECK(note(tag, layout.error()));
    CAIRN_CHECK(check_tag_rules(**checkpoint, seen_, [&](std::string item, std::string what) {
      report_.damage.push_back({"metadata", tag.name, item, "", std::nullopt, what});
    }));
    return gather_copies(tag, **checkpoint);
  }

  Status gather_copies(const TagEntry& tag, Checkpoint& checkpoint) {
    const LocatorTable& table = checkpoint.table();
    seen_copies_.agree_with(table);
    std::vector<CopyRef> wanted;
    for (uint32_t number = 0; number < table.page_count(); ++number) {
      const PagePlace& place = table.place(number);
      metas_.insert(place.page.file);
      metas_.insert(place.locator.file);
      const bool is_own = number < table.pages.size();
      const bool is_new = is_own && seen_copies_.add_all(place.locator.digest);
      if (!is_new && pages_.contains(place)) continue;
      const auto page = checkpoint.page(number);
      if (!page) {
        CAIRN_CHECK(note(tag, page.error()));
        continue;
      }
      pages_.insert(place);
      if (!is_new) continue;
      gather_page(number, *page);
      for (const Copy& copy : (*page)->locator.copies) {
        for (const BaseRef& base : copy.bases) {
          const auto ref = checkpoint.page_numbers().resolve(base);
          if (!ref) return note(tag, ref.error());
          wanted.push_back(*ref);
        }
      }
    }
    if (wanted.empty()) return {};
    const Status gathered = gather_bases(checkpoint, std::move(wanted));
    if (!gathered) return note(tag, gathered.error());
    return check_bases(tag, checkpoint);
  }

  /// What copies are made from, and what these are.
  Status gather_bases(Checkpoint& checkpoint, std::vector<CopyRef> wanted) {
    while (!wanted.empty()) {
      const CopyRef ref = wanted.back();
      wanted.pop_back();
      const Digest& locator = checkpoint.table().place(ref.page).locator.digest;
      if (!seen_copies_.add(locator, ref.slot)) continue;
      CAIRN_TRY(const auto page, checkpoint.page(ref.page));
      CAIRN_CHECK(check_slot(ref, page->locator));
      const Copy& copy = page->locator.copies[ref.slot];
      copies_.add(copy, page->digest_of(ref.slot));
      for (const BaseRef& base : copy.bases) {
        CAIRN_TRY(wanted.emplace_back(), checkpoint.page_numbers().resolve(base));
      }
    }
    return {};
  }

  /// No copy may be made from itself.
  Status check_bases(const TagEntry& tag, Checkpoint& checkpoint) {
    const auto read = [&](size_t number) -> Result<Locator> {
      CAIRN_TRY(const auto page, checkpoint.page(number));
      return page->locator;
    };
    const auto is_cyclic = has_base_cycle(checkpoint.table(), read);
    if (!is_cyclic) return note(tag, is_cyclic.error());
    if (!*is_cyclic) return {};
    return note(tag, {Code::kCorrupt, "copies are made from each other in a circle", ""});
  }

  Result<std::unique_ptr<Checkpoint>> open_tag_as_it_is(const TagEntry& tag) const {
    auto opened = Checkpoint::open(store_, tag);
    // gc may have moved the tag's metadata since the list of tags was read.
    if (!opened && opened.error().code == Code::kNotFound) return open_tag(store_, tag.name);
    return opened;
  }

  /// Of a page that has changed, most copies are still those of the tag before.
  void gather_page(size_t number, std::shared_ptr<const LoadedPage> loaded) {
    const LoadedPage& page = *loaded;
    if (previous_.size() <= number) previous_.resize(number + 1);
    const auto before = std::exchange(previous_[number], std::move(loaded));
    const auto is_known = [&](size_t i) {
      return before != nullptr && i < before->page.entries.size() &&
             page.page.entries[i] == before->page.entries[i] &&
             std::ranges::equal(page.copies(i), before->copies(i));
    };
    for (size_t i = 0; i < page.page.entries.size(); ++i) {
      const auto add = [&](const Digest& digest, const Copy& copy) { copies_.add(copy, digest); };
      if (!is_known(i)) for_each_stored(page.page.entries[i], page.copies(i), add);
      if (page.copies(i).empty()) ++report_.chunks;  // it lies in the page
    }
  }

  Status check_meta_packs() {
    for (const FileId& file : metas_) {
      CAIRN_CHECK(not_stopped(request_));
      const auto objects = list_objects(store_.fs(), store_.path(), file);
      if (objects) continue;
      if (!is_damage(objects.error())) return tl::unexpected(objects.error());
      report_.damage.push_back({"pack-table", "", "", relative_path(FileKind::kMeta, file),
                                std::nullopt, objects.error().message});
    }
    return {};
  }

  /// Adds a row for each tensor and attachment of the tag that needs a damaged copy.
  Status name_users(const TagEntry& tag) {
    const auto opened = open_tag_as_it_is(tag);
    if (!opened) {
      // Damage of this kind was named already.
      return is_damage(opened.error()) ? Status() : tl::unexpected(opened.error());
    }
    Checkpoint& checkpoint = **opened;
    ChainDamage damage(checkpoint, copies_);
    for (size_t item = 0; item < checkpoint.item_count(); ++item) {
      const Status named = name_user(checkpoint, item, damage);
      if (!named && !is_damage(named.error())) return named;
    }
    return {};
  }

  Status name_user(Checkpoint& checkpoint, size_t item, ChainDamage& damage) {
    for (uint64_t chunk = 0; chunk < checkpoint.chunk_count(item); ++chunk) {
      const PagePlan::Place place = checkpoint.plan().place(item, chunk);
      CAIRN_TRY(const auto page, checkpoint.page(place.page));
      const uint32_t first = page->first_slots[place.entry];
      for (uint32_t i = 0; i < page->copies(place.entry).size(); ++i) {
        CAIRN_TRY(const auto found, damage.find({static_cast<uint32_t>(place.page), first + i}));
        if (found) name_damage(checkpoint, item, chunk, *found);
      }
    }
    return {};
  }

  void name_damage(const Checkpoint& checkpoint, size_t item, uint64_t chunk,
                   const ChainDamage::Found& found) {
    const auto& [kind, message] = *found.damage;
    const std::string &tag = checkpoint.tag().name, &tensor = checkpoint.item_name(item);
    if (!rows_.insert({kind, tag, tensor, found.copy.pack}).second) return;
    report_.damage.push_back({kind, tag, tensor, relative_path(FileKind::kPack, found.copy.pack),
                              found.copy.offset, fmt::format("chunk {}: {}", chunk, message)});
  }

  const Store& store_;
  const CheckRequest request_;
  CheckReport report_;
  CopyCheck copies_;
  SeenByRules seen_;
  std::set<FileId> metas_;
  std::set<PagePlace> pages_;                                // read already
  std::vector<std::shared_ptr<const LoadedPage>> previous_;  // by number, of the tag before
  SeenCopies seen_copies_;
  std::set<std::tuple<std::string, std::string, std::string, FileId>> rows_;
};

}  // namespace

/// Looks at a tag that seems damaged, each time after it had changed.
static constexpr int kLooksMax = 5;

namespace {

/// A check of some tags, and of those of them that changed again and again until they stand still.
class SettledCheck {
 public:
  SettledCheck(const Store& store, const CheckRequest& request) : store_(store), request_(request) {
    for (const TagEntry& tag : request.tags) looked_at_[tag.name] = tag.table;
  }

  Result<CheckReport> run() {
    auto checker = std::make_unique<Checker>(store_, request_);
    CAIRN_TRY(report_, checker->run());
    for (int look = 1; !report_.damage.empty(); ++look) {
      CheckRequest again = request_;
      const auto changed = retract_changed();
      // Without a root nothing can have changed.
      if (!changed && is_damage(changed.error())) break;
      CAIRN_CHECK(changed);
      again.tags = *changed;
      if (again.tags.empty()) break;
      if (look == kLooksMax) {
        CAIRN_CHECK(give_up(again.tags));
        break;
      }
      auto next = std::make_unique<Checker>(store_, again);
      next->know(*checker);
      CAIRN_TRY(CheckReport more, next->run());
      take(std::move(more));
      checker = std::move(next);
    }
    return std::move(report_);
  }

 private:
  /// Takes back what was found of tags that are not any more what they were; returns those of them
  /// that stand, as they stand now.
  Result<std::vector<TagEntry>> retract_changed() {
    CAIRN_TRY(const TagList list, store_.read_tags());
    std::set<std::string> changed;
    for (const auto& [name, table] : looked_at_) {
      const TagEntry* standing = list.find(name);
      if (standing == nullptr || standing->table != table) changed.insert(name);
    }
    std::set<std::string> seemed_damaged;
    std::erase_if(report_.damage, [&](const Damage& damage) {
      if (damage.tag.empty()) return !changed.empty() && is_gone(damage.pack);
      if (!changed.contains(damage.tag)) return false;
      seemed_damaged.insert(damage.tag);
      return true;
    });
    std::vector<TagEntry> again;
    for (const std::string& name : seemed_damaged) {
      const TagEntry* standing = list.find(name);
      if (standing == nullptr) --report_.tags;
      looked_at_.erase(name);
      if (standing == nullptr) continue;
      looked_at_[name] = standing->table;
      again.push_back(*standing);
    }
    return again;
  }

  /// A file went with the tags that needed it; one that still has some is named with them.
  bool is_gone(const std::string& pack) const {
    const auto info = store_.fs().info(join_path(store_.path(), pack));
    return !info && info.error().code == Code::kNotFound;
  }

  Status give_up(const std::vector<TagEntry>& tags) {
    for (const TagEntry& tag : tags) report_.unsettled.push_back(tag.name);
    if (!request_.must_settle) return {};
    return fail(Code::kBusy,
                fmt::format("the tag '{}' changed each time it was checked", tags.front().name),
                "try again when fewer changes are made");
  }

  void take(CheckReport more) {
    report_.bytes_read += more.bytes_read;
    report_.out_of_time = report_.out_of_time || more.out_of_time;
    if (!report_.next_pack) report_.next_pack = more.next_pack;
    std::move(more.damage.begin(), more.damage.end(), std::back_inserter(report_.damage));
  }

  const Store& store_;
  const CheckRequest& request_;
  CheckReport report_;
  std::map<std::string, Reference> looked_at_;  // locator tables by tag
};

}  // namespace

Result<CheckReport> check(const Store& store, const CheckRequest& request) {
  return SettledCheck(store, request).run();
}

}  // namespace cairn
