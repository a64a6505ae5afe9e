// In the order of docs/PROTOCOL.md, section 6: C1 look at the tags; C2 a lease for the metadata
// that is to be written; C3 write manifests, pages, locators and tables without the tensors; C4
// exchange the entries in one change of the root; C5 the lease goes. All tags are looked at first;
// then C1 to C5 are done for some of them at a time.
#include "store/thin.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "base/glob.h"
#include "base/stop.h"
#include "store/bases.h"
#include "store/checkpoint.h"
#include "store/forget.h"
#include "store/meta_pack.h"
#include "store/session.h"
#include "store/tag_change.h"
#include "store/tag_part.h"
#include "store/writable.h"

namespace cairn {
namespace {

/// One tag on its way to fewer tensors.
class Thinning {
 public:
  Thinning(const Store& store, Checkpoint& checkpoint) : store_(store), old_(checkpoint) {}

  /// Which tensors stay, and what the entry says of them.
  Status choose(const std::vector<std::string>& globs, const TensorBytes& tensor_bytes) {
    after_ = old_.tag();
    for (size_t item = 0; item < old_.schema().tensors.size(); ++item) {
      const TensorInfo& tensor = old_.schema().tensors[item];
      const bool goes = std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
        return glob_match(glob, tensor.name);
      });
      if (!goes) {
        kept_.push_back(item);
        continue;
      }
      CAIRN_TRY(const uint64_t bytes, tensor_bytes(tensor));
      after_.facts.logical_bytes -= std::min(after_.facts.logical_bytes, bytes);
      after_.facts.chunks -= std::min(after_.facts.chunks, tensor.chunk_count);
      --after_.facts.tensors;
      ++after_.facts.dropped_tensors;
    }
    if (!drops_nothing() && kept_.empty()) {
      return fail(Code::kUsage, fmt::format("no tensor would be left of tag '{}'", after_.name),
                  "'cairn forget' the tag itself");
    }
    TagFacts& facts = after_.facts;
    facts.new_bytes = std::min(facts.new_bytes, facts.logical_bytes);
    facts.new_chunks = std::min(facts.new_chunks, facts.chunks);
    return {};
  }

  bool drops_nothing() const { return after_.facts.tensors == old_.tag().facts.tensors; }
  const TagEntry& after() const { return after_; }

  Status write(MetaWriter& metas) {
    CAIRN_TRY(TagPart part, TagPart::of(old_, kept_));
    CAIRN_TRY(after_.schema, metas.add(ObjectKind::kSchema, encode_schema(part.schema())));
    LocatorTable table;
    CAIRN_CHECK(write_pages(metas, part, table));
    std::vector<Digest> pages;
    for (const PagePlace& place : table.pages) pages.push_back(place.page.digest);
    const Bytes manifest = encode_manifest(part.manifest(std::move(pages)));
    CAIRN_TRY(after_.manifest, metas.add(ObjectKind::kManifest, manifest));
    table.manifest = after_.manifest.digest;
    CAIRN_TRY(after_.table, metas.add(ObjectKind::kLocatorTable, encode_locator_table(table)));
    if (part.layout()) {
      const Bytes layout = encode_layout(*part.layout(), part.schema());
      CAIRN_TRY(after_.layout, metas.add(ObjectKind::kLayout, layout));
    }
    CAIRN_CHECK(metas.add(ObjectKind::kTagEntry, encode_tag_entry(after_)));
    return {};
  }

 private:
  Status write_pages(MetaWriter& metas, TagPart& part, LocatorTable& table) {
    std::map<FileId, uint64_t> uses;
    for (size_t number = 0; number < part.page_count(); ++number) {
      CAIRN_TRY(const PartPage page, part.page(number));
      CAIRN_TRY(const PagePlace place, put_page(metas, page));
      table.pages.push_back(place);
      for (const Copy& copy : page.locator.copies) {
        uses[copy.pack] += copy.stored_bytes;
        bases_.insert(bases_.end(), copy.bases.begin(), copy.bases.end());
      }
    }
    return write_closure(table, uses);
  }

  static Result<PagePlace> put_page(MetaWriter& metas, const PartPage& page) {
    PagePlace place;
    if (page.place) {
      place = *page.place;
    } else {
      CAIRN_TRY(place.page, metas.add(ObjectKind::kPage, encode_page(page.page)));
    }
    const Bytes locator = encode_locator(page.locator);
    if (blake3(locator) == place.locator.digest) return place;
    CAIRN_TRY(place.locator, metas.add(ObjectKind::kLocator, locator));
    return place;
  }

  /// The pages of bases, and which packs they and the tag's own copies lie in.
  Status write_closure(LocatorTable& table, std::map<FileId, uint64_t>& uses) {
    const auto read = [&](size_t number) -> Result<Locator> {
      CAIRN_TRY(const auto loaded, load_page(store_, old_.table().place(number)));
      return loaded->locator;
    };
    const PageNumbers old_numbers(old_.table()), own_numbers(table);
    std::vector<CopyRef> wanted;
    for (const BaseRef& base : bases_) {
      CAIRN_TRY(wanted.emplace_back(), old_numbers.resolve(base));
    }
    std::set<uint32_t> met;
    CAIRN_CHECK(follow_bases(wanted, old_numbers, read, [&](const CopyRef& ref, const Copy& copy) {
      // The tag's own copies are counted already.
      if (own_numbers.of(old_.table().place(ref.page).page.digest)) return Status();
      met.insert(ref.page);
      uses[copy.pack] += copy.stored_bytes;
      return Status();
    }));
    for (const uint32_t page : met) table.closure.push_back(old_.table().place(page));
    for (const auto& [pack, bytes] : uses) table.packs.push_back({pack, bytes});
    return {};
  }

  const Store& store_;
  Checkpoint& old_;
  TagEntry after_;
  std::vector<size_t> kept_;    // tensors of the old checkpoint, in order
  std::vector<BaseRef> bases_;  // of the copies that stay
};

/// A change of this many writes at most as many tag tables, some tenths of a second at worst.
constexpr size_t kThinnedAtOnce = 1024;

/// A tag that was looked at, and what thinning will make of it.
struct Prepared {
  std::unique_ptr<Checkpoint> checkpoint;
  std::unique_ptr<Thinning> thinning;
};

class Thinner {
 public:
  Thinner(const Store& store, const std::vector<std::string>& globs,
          const TensorBytes& tensor_bytes, const Wait& wait)
      : store_(store), globs_(globs), tensor_bytes_(tensor_bytes), wait_(wait) {}

  /// Errors for any of the tags.
  Result<std::vector<ThinnedTag>> plan(const std::vector<TagEntry>& tags) const {
    std::vector<ThinnedTag> planned;
    for (const TagEntry& tag : tags) {
      CAIRN_CHECK(unless_stopped(wait_.stop, "the thinning"));
      CAIRN_TRY(const Prepared prepared, prepare(tag));
      if (prepared.thinning->drops_nothing()) continue;
      planned.push_back({prepared.checkpoint->tag(), prepared.thinning->after()});
    }
    return planned;
  }

  /// Writes the metadata of these and exchanges their entries, as a session of its own.
  Status apply(std::span<ThinnedTag> tags) const {
    CAIRN_CHECK(unless_stopped(wait_.stop, "the thinning"));
    CAIRN_TRY(const auto session,
              Session::begin(store_.fs(), store_.path(), "", std::nullopt, LeaseKind::kMove));
    MetaWriter metas(store_.fs(), store_.path(), session->id());
    ChangeOutcome outcome;
    Status done = write(tags, metas);
    if (done) done = swap(tags, session->id(), outcome);
    if (!done && !outcome.may_be_visible) session->remove_files(0, metas.metas_begun());
    // A lease that cannot be removed is gc's to find.
    (void)session->end().has_value();
    return done;
  }

 private:
  Result<Prepared> prepare(const TagEntry& tag) const {
    CAIRN_CHECK(refuse_pinned(tag));
    CAIRN_TRY(auto checkpoint, open_tag(store_, tag.name));
    // gc may have moved it since the caller looked; another checkpoint was not judged by him.
    const TagEntry& standing = checkpoint->tag();
    if (standing.commit != tag.commit || standing.manifest.digest != tag.manifest.digest) {
      return fail_changed(tag);
    }
    CAIRN_CHECK(refuse_pinned(standing));
    auto thinning = std::make_unique<Thinning>(store_, *checkpoint);
    CAIRN_CHECK(thinning->choose(globs_, tensor_bytes_));
    return Prepared{std::move(checkpoint), std::move(thinning)};
  }

  Status write(std::span<ThinnedTag> tags, MetaWriter& metas) const {
    for (ThinnedTag& tag : tags) {
      CAIRN_CHECK(unless_stopped(wait_.stop, "the thinning"));
      CAIRN_TRY(const Prepared prepared, prepare(tag.before));
      CAIRN_CHECK(prepared.thinning->write(metas));
      tag = {prepared.checkpoint->tag(), prepared.thinning->after()};
    }
    return metas.finish();
  }

  Status swap(std::span<const ThinnedTag> tags, const SessionId& session,
              ChangeOutcome& outcome) const {
    const auto edit = [&](Root& root, TagBook& book) -> Result<RootChange> {
      CAIRN_CHECK(check_may_commit(store_, root, session));
      for (const ThinnedTag& each : tags) {
        CAIRN_TRY(const TagEntry* standing, book.find(each.before.name));
        // By a change whose answer was lost.
        if (standing != nullptr && standing->table == each.after.table) continue;
        if (standing == nullptr || standing->table != each.before.table ||
            standing->commit != each.before.commit) {
          return fail_changed(each.before);
        }
        CAIRN_CHECK(refuse_pinned(*standing));
        book.put(each.after);
      }
      ++root.commit;
      return RootChange::kReplace;
    };
    return change_tags(store_, session, wait_, edit, outcome);
  }

  static tl::unexpected<Error> fail_changed(const TagEntry& tag) {
    return fail(Code::kBusy, fmt::format("the tag '{}' was changed meanwhile", tag.name),
                "look at it again before you thin it");
  }

  const Store& store_;
  const std::vector<std::string>& globs_;
  const TensorBytes& tensor_bytes_;
  const Wait& wait_;
};

}  // namespace

Result<std::vector<ThinnedTag>> thin_tags(const Store& store, const std::vector<TagEntry>& tags,
                                          const std::vector<std::string>& globs,
                                          const TensorBytes& tensor_bytes, bool dry_run,
                                          const Wait& wait) {
  CAIRN_CHECK(check_may_write(store));
  const Thinner thinner(store, globs, tensor_bytes, wait);
  CAIRN_TRY(std::vector<ThinnedTag> thinned, thinner.plan(tags));
  if (dry_run) return thinned;
  for (size_t first = 0; first < thinned.size(); first += kThinnedAtOnce) {
    const size_t count = std::min(kThinnedAtOnce, thinned.size() - first);
    const Status done = thinner.apply(std::span(thinned).subspan(first, count));
    if (done) continue;
    Error error = done.error();
    error.message +=
        fmt::format("; {} of {} tags were thinned before and stay so", first, thinned.size());
    return tl::unexpected(std::move(error));
  }
  return thinned;
}

}  // namespace cairn
