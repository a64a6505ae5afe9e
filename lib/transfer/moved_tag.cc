#include "lib/transfer/moved_tag.h"

#include <map>

#include "base/pipeline.h"

namespace cairn {
namespace {

class MovedTag {
 public:
  MovedTag(Checkpoint& from, const Cargo& cargo, const TransferPlan& plan,
           const std::vector<Copy>& copies, BaseTag* base, MetaWriter& metas, unsigned threads)
      : from_(from),
        cargo_(cargo),
        plan_(plan),
        copies_(copies),
        base_(base),
        metas_(metas),
        threads_(threads) {}

  Result<TagEntry> write() {
    TagEntry entry = cargo_.entry;
    CAIRN_CHECK(write_pages());
    CAIRN_TRY(entry.manifest, put(cargo_.manifest, entry.manifest, ObjectKind::kManifest));
    const auto schema = base_ == nullptr ? std::nullopt : base_->equal_schema(entry.schema.digest);
    if (schema) {
      entry.schema = *schema;
    } else {
      CAIRN_TRY(entry.schema, put(cargo_.schema, entry.schema, ObjectKind::kSchema));
    }
    if (entry.layout) {
      const auto layout =
          base_ == nullptr ? std::nullopt : base_->equal_layout(entry.layout->digest);
      if (layout) {
        entry.layout = layout;
      } else {
        CAIRN_TRY(entry.layout, put(cargo_.layout, *entry.layout, ObjectKind::kLayout));
      }
    }
    table_.manifest = entry.manifest.digest;
    CAIRN_TRY(entry.table, metas_.add(ObjectKind::kLocatorTable, encode_locator_table(table_)));
    return entry;
  }

 private:
  using Uses = std::map<FileId, uint64_t>;  // stored bytes by pack

  /// What a page comes to: that takes no turns, as adding it does.
  struct Encoded {
    std::optional<Bytes> page;     ///< unset: as the source has it, or as it stands
    std::optional<Bytes> locator;  ///< unset: as it stands
    Uses uses;
  };

  struct Written {
    PagePlace place;
    Uses uses;
  };

  static constexpr size_t kEncodedAtOnce = 64;

  Status write_pages() {
    std::map<Digest, Written> own, closure;
    for (const CargoPage& page : cargo_.pages) own.try_emplace(page.digest);
    for (const auto& [page, chosen] : plan_.pages) {
      if (!own.contains(page) && is_needed(chosen)) closure.try_emplace(page);
    }
    CAIRN_CHECK(write(own));
    CAIRN_CHECK(write(closure));
    Uses used;
    const auto list = [&](const Written& page, std::vector<PagePlace>& places) {
      places.push_back(page.place);
      for (const auto& [pack, bytes] : page.uses) used[pack] += bytes;
    };
    for (const CargoPage& page : cargo_.pages) list(own.at(page.digest), table_.pages);
    for (const auto& [digest, page] : closure) list(page, table_.closure);
    for (const auto& [pack, bytes] : used) table_.packs.push_back({pack, bytes});
    return {};
  }

  Status write(std::map<Digest, Written>& pages) {
    for (auto next = pages.begin(); next != pages.end();) {
      std::vector<std::pair<const Digest, Written>*> some;
      while (next != pages.end() && some.size() < kEncodedAtOnce) some.push_back(&*next++);
      std::vector<Encoded> encoded(some.size());
      CAIRN_CHECK(parallel_for(some.size(), threads_, [&](uint64_t i) -> Status {
        encoded[i] = encode(some[i]->first);
        return {};
      }));
      for (size_t i = 0; i < some.size(); ++i) {
        Written& page = some[i]->second;
        CAIRN_TRY(page.place, add(some[i]->first, encoded[i]));
        page.uses = std::move(encoded[i].uses);
      }
    }
    return {};
  }

  static bool is_needed(const ChosenPage& page) {
    for (const auto& slot : page.slots)
      if (slot) return true;
    return false;
  }

  const Copy& final(const ChosenCopy& chosen) const {
    return chosen.fetch ? copies_[*chosen.fetch] : chosen.copy;
  }

  Encoded encode(const Digest& page) const {
    const ChosenPage& chosen = plan_.pages.at(page);
    Encoded encoded;
    if (!chosen.is_standing) {
      Bytes bytes = encode_page(chosen.loaded->page);
      // A program that put the same in another order may have written it.
      if (blake3(bytes) == page) encoded.page = std::move(bytes);
    }
    // Of copies that the tag does not need nothing is there: as after a collection.
    Locator locator = chosen.loaded->locator;
    for (size_t slot = 0; slot < chosen.slots.size(); ++slot) {
      if (!chosen.slots[slot]) continue;
      const Copy& copy = final(*chosen.slots[slot]);
      locator.copies[slot] = copy;
      encoded.uses[copy.pack] += copy.stored_bytes;
    }
    Bytes bytes = encode_locator(locator);
    const bool is_there = chosen.is_standing && blake3(bytes) == chosen.place.locator.digest;
    if (!is_there) encoded.locator = std::move(bytes);
    return encoded;
  }

  Result<PagePlace> add(const Digest& page, const Encoded& encoded) {
    const ChosenPage& chosen = plan_.pages.at(page);
    PagePlace place = chosen.place;
    if (!chosen.is_standing) {
      CAIRN_TRY(place.page, put(encoded.page, place.page, ObjectKind::kPage));
    }
    if (encoded.locator) {
      CAIRN_TRY(place.locator, metas_.add(ObjectKind::kLocator, *encoded.locator));
    }
    return place;
  }

  /// What is made of the source's object, or that itself.
  Result<Reference> put(const std::optional<Bytes>& made, const Reference& reference,
                        ObjectKind kind) {
    return made ? metas_.add(kind, *made) : copy_object(reference, kind);
  }

  Result<Reference> copy_object(const Reference& reference, ObjectKind kind) {
    CAIRN_TRY(const Bytes bytes, read_object(from_.store().meta_files(), reference));
    return metas_.add(kind, bytes);
  }

  Checkpoint& from_;
  const Cargo& cargo_;
  const TransferPlan& plan_;
  const std::vector<Copy>& copies_;
  BaseTag* const base_;
  MetaWriter& metas_;
  const unsigned threads_;
  LocatorTable table_;
};

}  // namespace

Result<TagEntry> write_moved_tag(Checkpoint& from, const Cargo& cargo, const TransferPlan& plan,
                                 const std::vector<Copy>& copies, BaseTag* base, MetaWriter& metas,
                                 unsigned threads) {
  return MovedTag(from, cargo, plan, copies, base, metas, threads).write();
}

}  // namespace cairn
