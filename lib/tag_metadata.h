// The metadata of a tag: pages, locators, schema, table, layout and manifest, those of the base tag
// where they are equal.
#pragma once

#include <map>

#include "lib/base_tag.h"
#include "lib/cairn.hpp"
#include "lib/save_plan.h"
#include "lib/saved_pages.h"
#include "store/meta_pack.h"

namespace cairn {

/// Threads: one at a time.
class TagMetadata {
 public:
  /// `base`: may be null. REQUIRES: the pages are filled, and all outlive this.
  TagMetadata(const SaveRequest& request, const SavePlan& plan, BaseTag* base, SavedPages& pages,
              MetaWriter& metas)
      : request_(request), plan_(plan), base_(base), pages_(pages), metas_(metas) {}

  /// Adds pages and locators to the metadata packs.
  Status write_pages();
  /// The digests of the tag's pages. REQUIRES, as all below: write_pages() succeeded.
  const std::vector<Digest>& page_digests() const { return page_digests_; }
  /// Adds all else, and references to it to the entry. `metadata`: the user's, and the save's own.
  Status write(const Metadata& metadata, TagEntry& entry);
  /// Packs of copies that the table counts on, in increasing order.
  const std::vector<FileId>& packs() const { return packs_; }
  /// Whether it failed over copies that it reused: without them, all may be well.
  bool lost_reused() const { return lost_reused_; }

 private:
  Result<Reference> put(ObjectKind kind, const Bytes& bytes) { return metas_.add(kind, bytes); }
  Result<PagePlace> place_page(size_t number, const Digest& page, Locator& copies);
  Status refuse_circles(const std::map<Digest, Locator>& own, const LocatorTable& table);

  const SaveRequest& request_;
  const SavePlan& plan_;
  BaseTag* const base_;
  SavedPages& pages_;
  MetaWriter& metas_;
  std::vector<Digest> page_digests_;
  LocatorTable table_;
  std::vector<FileId> packs_;
  bool lost_reused_ = false;
};

}  // namespace cairn
