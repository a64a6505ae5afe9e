#include "lib/transfer/moved_tag.h"

#include <set>

namespace cairn {
namespace {

class MovedTag {
 public:
  MovedTag(Checkpoint& from, const Cargo& cargo, const TransferPlan& plan,
           const std::vector<Copy>& copies, BaseTag* base, MetaWriter& metas)
      : from_(from), cargo_(cargo), plan_(plan), copies_(copies), base_(base), metas_(metas) {}

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
  Status write_pages() {
    std::map<FileId, uint64_t> uses;
    std::map<Digest, PagePlace> places;
    for (const CargoPage& own : cargo_.pages) {
      const Digest& page = own.digest;
      const auto [place, fresh] = places.try_emplace(page);
      if (fresh) {
        CAIRN_TRY(place->second, write_page(page));
      }
      table_.pages.push_back(place->second);
      count_uses(plan_.pages.at(page), uses);
    }
    for (const auto& [page, chosen] : plan_.pages) {
      if (places.contains(page) || !is_needed(chosen)) continue;
      CAIRN_TRY(table_.closure.emplace_back(), write_page(page));
      count_uses(chosen, uses);
    }
    for (const auto& [pack, bytes] : uses) table_.packs.push_back({pack, bytes});
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

  void count_uses(const ChosenPage& page, std::map<FileId, uint64_t>& uses) const {
    for (const auto& slot : page.slots) {
      if (slot) uses[final(*slot).pack] += final(*slot).stored_bytes;
    }
  }

  Result<PagePlace> write_page(const Digest& page) {
    const ChosenPage& chosen = plan_.pages.at(page);
    PagePlace place = chosen.place;
    if (!chosen.is_standing) {
      const Bytes bytes = encode_page(chosen.loaded->page);
      if (blake3(bytes) == page) {
        CAIRN_TRY(place.page, metas_.add(ObjectKind::kPage, bytes));
      } else {  // written by a program that puts the same in another order
        CAIRN_TRY(place.page, copy_object(place.page, ObjectKind::kPage));
      }
    }
    // Of copies that the tag does not need nothing is there: as after a collection.
    Locator locator = chosen.loaded->locator;
    for (size_t slot = 0; slot < chosen.slots.size(); ++slot) {
      if (chosen.slots[slot]) locator.copies[slot] = final(*chosen.slots[slot]);
    }
    const Bytes bytes = encode_locator(locator);
    if (chosen.is_standing && blake3(bytes) == place.locator.digest) return place;
    CAIRN_TRY(place.locator, metas_.add(ObjectKind::kLocator, bytes));
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
  LocatorTable table_;
};

}  // namespace

Result<TagEntry> write_moved_tag(Checkpoint& from, const Cargo& cargo, const TransferPlan& plan,
                                 const std::vector<Copy>& copies, BaseTag* base,
                                 MetaWriter& metas) {
  return MovedTag(from, cargo, plan, copies, base, metas).write();
}

}  // namespace cairn
