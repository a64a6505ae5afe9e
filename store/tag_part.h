// A checkpoint with some of its tensors, as a checkpoint of its own: what thinning leaves of a tag,
// and what a transfer of a part brings. Attachments and metadata stay as they are.
#pragma once

#include <optional>
#include <vector>

#include "store/checkpoint.h"
#include "store/needed_bases.h"

namespace cairn {

/// A page of the part.
struct PartPage {
  Digest digest;
  Page page;
  Locator locator;
  std::vector<CopyRef> refs;  ///< per copy, which one of the whole it is
  /// Where the whole, or what it is made from, has the page; with another locator, maybe.
  std::optional<PagePlace> place;
};

/// Threads: one at a time.
class TagPart {
 public:
  /// `tensors`: numbers in the schema of `whole`, increasing. REQUIRES: `whole` outlives this.
  /// Errors: those of reading the layout.
  static Result<TagPart> of(Checkpoint& whole, std::vector<size_t> tensors);

  const Schema& schema() const { return schema_; }
  const std::optional<Layout>& layout() const { return layout_; }
  size_t page_count() const { return plan_.pages.size(); }
  /// Whether the page holds chunks of tensors, and not of attachments.
  bool is_of_tensors(size_t page) const;
  /// Reads pages of the whole. Errors: those of reading them.
  Result<PartPage> page(size_t number);
  /// `pages`: digests of all of them.
  Manifest manifest(std::vector<Digest> pages) const;

 private:
  explicit TagPart(Checkpoint& whole) : whole_(&whole) {}
  Status gather(const std::vector<PageRun>& runs, PartPage& part);
  Status settle(PartPage& part);

  Checkpoint* whole_;
  Schema schema_;
  std::optional<Layout> layout_;
  PagePlan plan_;
  std::vector<size_t> items_;          // of the whole, in order
  std::optional<NeededBases> needed_;  // once asked for
};

}  // namespace cairn
