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

#include "lib/copy_check.h"
#include "lib/tag_rules.h"
#include "store/base_cycles.h"
#include "store/checkpoint.h"
#include "store/pack_table.h"

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
    if (request_.read_percent) CAIRN_CHECK(copies_.read_data());
    for (const TagEntry& tag : request_.tags) {
      if (!copies_.found_none()) CAIRN_CHECK(name_users(tag));
    }
    report_.tags = request_.tags.size();
    return std::move(report_);
  }

 private:
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
    const LocatorTable& table = (*checkpoint)->table();
    bool has_bases = !table.closure.empty();
    for (size_t page = 0; page < table.page_count(); ++page) {
      const PagePlace& place = table.place(page);
      metas_.insert(place.page.file);
      metas_.insert(place.locator.file);
      has_bases = has_bases || with_bases_.contains(place);
      if (pages_.contains(place)) continue;
      const auto loaded = (*checkpoint)->page(page);
      if (loaded) {
        pages_.insert(place);
        const bool fresh = gathered_.insert({place.page.digest, place.locator.digest}).second;
        if (fresh) gather_page(page, *loaded);
        const auto& copies = (*loaded)->locator.copies;
        const bool uses_bases = std::any_of(copies.begin(), copies.end(),
                                            [](const Copy& copy) { return !copy.bases.empty(); });
        if (uses_bases) with_bases_.insert(place);
        has_bases = has_bases || uses_bases;
      } else {
        CAIRN_CHECK(note(tag, loaded.error()));
      }
    }
    return has_bases ? check_bases(tag, **checkpoint) : Status();
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
    for (size_t item = 0; item < checkpoint.item_count(); ++item) {
      const std::string& name = checkpoint.item_name(item);
      const Status visited =
          visit_chunks(checkpoint, item, [&](uint64_t chunk, const ChunkEntry&, auto copies) {
            for (const Copy& copy : copies) name_user(tag.name, name, chunk, copy);
            return Status();
          });
      if (!visited && !is_damage(visited.error())) return visited;
    }
    return {};
  }

  void name_user(const std::string& tag, const std::string& tensor, uint64_t chunk,
                 const Copy& copy) {
    const CopyDamage* found = copies_.find(copy);
    if (found == nullptr) return;
    const auto& [kind, message] = *found;
    if (!rows_.insert({kind, tag, tensor, copy.pack}).second) return;
    report_.damage.push_back({kind, tag, tensor, relative_path(FileKind::kPack, copy.pack),
                              copy.offset, fmt::format("chunk {}: {}", chunk, message)});
  }

  const Store& store_;
  const CheckRequest request_;
  CheckReport report_;
  CopyCheck copies_;
  SeenByRules seen_;
  std::set<FileId> metas_;
  std::set<PagePlace> pages_;                                // read already
  std::vector<std::shared_ptr<const LoadedPage>> previous_;  // by number, of the tag before
  std::set<PagePlace> with_bases_;                           // of those, whose copies have bases
  std::set<std::pair<Digest, Digest>> gathered_;             // of pages with their locators
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
