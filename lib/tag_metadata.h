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

  /// Adds all objects to the metadata packs, and their references to the entry.
  Status write(TagEntry& entry);
  /// Packs of copies that the table of write() counts on, in increasing order.
  const std::vector<FileId>& packs() const { return packs_; }
  /// Whether it failed over copies that it reused: without them, all may be well.
  bool lost_reused() const { return lost_reused_; }

 private:
  Result<Reference> put(ObjectKind kind, const Bytes& bytes) { return metas_.add(kind, bytes); }
  Result<LocatorTable> write_pages(Manifest& manifest);
  Result<PagePlace> place_page(size_t number, const Digest& page, Locator& copies);
  Status refuse_circles(const std::map<Digest, Locator>& own, const LocatorTable& table);

  const SaveRequest& request_;
  const SavePlan& plan_;
  BaseTag* const base_;
  SavedPages& pages_;
  MetaWriter& metas_;
  std::vector<FileId> packs_;
  bool lost_reused_ = false;
};

}  // namespace cairn
