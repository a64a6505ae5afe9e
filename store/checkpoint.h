// One checkpoint opened for reading: manifest, schema and locator table at once, pages and locators
// as they are asked for. Everything is checked against its digest.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store/bases.h"
#include "store/layout.h"
#include "store/locator.h"
#include "store/locator_table.h"
#include "store/manifest.h"
#include "store/page.h"
#include "store/page_plan.h"
#include "store/schema.h"
#include "store/store.h"

namespace cairn {

/// A page with where its copies lie.
struct LoadedPage {
  Page page;
  Locator locator;
  std::vector<uint32_t> first_slots;  ///< per entry, the slot of its first copy

  /// The copies that stand for an entry.
  std::span<const Copy> copies(size_t entry) const {
    return std::span(locator.copies).subspan(first_slots[entry], copy_count(page.entries[entry]));
  }
  /// The digest of a copy's decoded bytes. REQUIRES: a slot of the locator.
  Digest digest_of(uint32_t slot) const;
};

/// Calls visit(digest, copy) for each stored copy of an entry.
template <class Visit>
void for_each_stored(const ChunkEntry& entry, std::span<const Copy> copies, const Visit& visit) {
  size_t slot = 0;
  for_each_digest(entry, [&](const Digest& digest) { visit(digest, copies[slot++]); });
}

/// Threads: any.
class Checkpoint {
 public:
  /// Errors: kCorrupt, kNotFound (files gone: the tag may have moved; read it again and retry
  /// once).
  static Result<std::unique_ptr<Checkpoint>> open(const Store& store, const TagEntry& tag);

  const Store& store() const { return store_; }
  const TagEntry& tag() const { return tag_; }
  const Manifest& manifest() const { return manifest_; }
  const Schema& schema() const { return schema_; }
  const LocatorTable& table() const { return table_; }
  const PagePlan& plan() const { return plan_; }
  /// Of table(), by digest: where bases are found.
  const PageNumbers& page_numbers() const { return page_numbers_; }

  /// Items are numbered through: the tensors of the schema, then the attachments.
  size_t item_count() const { return schema_.tensors.size() + manifest_.attachments.size(); }
  bool is_tensor(size_t item) const { return item < schema_.tensors.size(); }
  /// REQUIRES: an item behind the tensors.
  const AttachmentInfo& attachment(size_t item) const {
    return manifest_.attachments[item - schema_.tensors.size()];
  }
  const std::string& item_name(size_t item) const;
  uint64_t chunk_count(size_t item) const;

  /// The tensor's number in the schema; nullopt when there is none of that name.
  std::optional<size_t> find_tensor(std::string_view name) const;
  /// The attachment's number among the items; nullopt when there is none of that name.
  std::optional<size_t> find_attachment(std::string_view name) const;

  /// A page as table() numbers them. The latest ones are kept: in order, each is read once. Where
  /// gc has moved the tag's metadata meanwhile, it is read from there.
  Result<std::shared_ptr<const LoadedPage>> page(size_t number);
  /// How the save was cut; without a stored layout every tensor is one box of one writer.
  Result<Layout> layout() const;

  /// The same checkpoint where follow() found it last; this one when it was not called.
  Checkpoint& latest();
  /// After `met` was met while reading: the same checkpoint, opened where gc has moved its files.
  /// It lives as long as this one. Errors: kNotFound when the tag was forgotten meanwhile, kBusy
  /// when it was replaced by another checkpoint, else what was met: then the files are damaged.
  Result<Checkpoint*> follow(const Error& met);

 private:
  static Result<std::unique_ptr<Checkpoint>> read(const Store& store, const TagEntry& tag);
  Checkpoint(const Store& store, TagEntry tag) : store_(store), tag_(std::move(tag)) {}
  std::shared_ptr<const LoadedPage> kept_page(size_t number) const;
  void read_ahead(size_t number);
  Result<std::shared_ptr<const LoadedPage>> keep(size_t number,
                                                 std::shared_ptr<const LoadedPage> loaded);

  const Store& store_;
  const TagEntry tag_;
  Manifest manifest_;
  Schema schema_;
  LocatorTable table_;
  PagePlan plan_;
  PageNumbers page_numbers_;
  std::mutex read_ahead_mutex_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const LoadedPage>> pages_;
  std::deque<size_t> kept_;  // numbers, in the order of reading
  size_t kept_entries_ = 0;
  std::unique_ptr<Checkpoint> successor_;
};

/// Does `work(checkpoint)`, which reads chunks, and again whenever gc moved them in the middle.
template <class Work>
auto read_where_it_is(Checkpoint& checkpoint, const Work& work) -> decltype(work(checkpoint)) {
  for (;;) {
    Checkpoint& latest = checkpoint.latest();
    auto done = work(latest);
    if (done) return done;
    CAIRN_CHECK(latest.follow(done.error()));
  }
}

/// Reads a page and its locator and checks that they fit each other.
Result<std::shared_ptr<const LoadedPage>> load_page(const Store& store, const PagePlace& place);

/// Calls visit(chunk, entry, copies) for the chunks of an item, in order. `copies` are those that
/// stand for the entry; none for an inline one.
Status visit_chunks(
    Checkpoint& checkpoint, size_t item,
    const std::function<Status(uint64_t chunk, const ChunkEntry&, std::span<const Copy>)>& visit);

/// The checkpoint of a tag by name, read again once when its files vanish meanwhile (gc replaced
/// them). Errors: kNotFound when there is no such tag.
Result<std::unique_ptr<Checkpoint>> open_tag(const Store& store, std::string_view name);

}  // namespace cairn
