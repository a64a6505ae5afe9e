// The tag a save compares with. What is equal at the same place of the base keeps the base's copy;
// the session's lease protects those copies until the commit.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/tensor.h"
#include "store/checkpoint.h"
#include "store/decode_plan.h"
#include "store/session.h"

namespace cairn {

/// Which tag a save to `tag` compares with: the named one, none for "none", or the newest one that
/// has the same name up to the last '/'. Errors: kNotFound when the named one does not exist.
Result<std::optional<TagEntry>> choose_base(TagBook& tags, const std::string& tag,
                                            const std::optional<std::string>& wanted);

/// A stored copy of the base: of a whole chunk, or of the piece that has the same box.
struct BaseUnit {
  CopyRef ref;
  BaseRef named;  ///< the same, for a locator
  Digest digest;
  uint32_t decoded_bytes = 0;
  Encoding encoding = Encoding::kRaw;  ///< how the copy is stored,
  uint8_t detail = 0;                  ///< by which cast or rule
  uint32_t stored_bytes = 0;           ///< and in how much
};

/// Threads: any.
class BaseTag {
 public:
  static Result<std::unique_ptr<BaseTag>> open(const Store& store, const TagEntry& tag);

  const TagEntry& tag() const { return checkpoint_->tag(); }
  LeasedBase lease() const;

  /// Matches the base's tensors and attachments to those of the new checkpoint, by name, dtype and
  /// shape: only what lies on the same grid can be equal.
  void match(const Schema& schema, const std::vector<AttachmentInfo>& attachments);

  /// Where the base has that chunk; nullopt when it has none there.
  std::optional<PagePlan::Place> place_of(size_t item, uint64_t chunk) const;

  /// The copies of the base's chunk at the same place when it has the same identity; nullopt when
  /// it differs, is not there, or cannot be read.
  std::optional<std::vector<Copy>> equal_copies(size_t item, uint64_t chunk,
                                                const ChunkEntry& entry);

  /// The copy of a whole chunk of that digest, wherever in the base's attachment it lies: content
  /// cuts make chunks move. nullopt when there is none, or it cannot be read.
  std::optional<Copy> moved_copy(size_t item, const Digest& digest);

  /// The copy at the same place and of the same box, whatever its bytes are. `piece`: nullptr for
  /// whole chunks. nullopt when there is none, it lies in its page, or it cannot be read.
  std::optional<BaseUnit> unit_at(size_t item, uint64_t chunk, const Box* piece);

  /// The copy as its locator has it; nullopt when it cannot be read.
  std::optional<Copy> copy_of(const CopyRef& ref);

  /// Remembers a copy whose bytes could not be read. unit_at() does so for what it cannot read.
  void note_unread(const CopyRef& copy);
  /// How many such there were.
  size_t unread() const;

  /// All copies that the chunk's are made from, and these. Errors: kNotFound where the base has no
  /// such chunk; those of plan_decoding.
  Result<DecodePlan> plan_of(size_t item, uint64_t chunk);

  /// Whether that chunk can be read without other tensors: none of the copies that it is made from
  /// is a rounding or a prediction. False when it is not there or cannot be read.
  bool stands_alone(size_t item, uint64_t chunk);

  Checkpoint& checkpoint() { return *checkpoint_; }

  // A new tag may stand on metadata of the base only when that was read just now and found sound:
  // a place taken over unread would carry the base's damage into a save that reports success.

  /// Where a page and a locator of the base lie that are equal to these two, and sound.
  std::optional<PagePlace> equal_page(const Digest& page, const Digest& locator);
  /// Where a page of that digest lies, whatever its locator; own pages and those of bases.
  std::optional<PagePlace> page_of(const Digest& page) const;
  /// Where the schema lies when it is the same.
  std::optional<Reference> equal_schema(const Digest& schema) const;
  /// Where the layout lies when it is the same, and sound.
  std::optional<Reference> equal_layout(const Digest& layout) const;

 private:
  using ChunkRefs = std::vector<std::pair<Digest, CopyRef>>;

  explicit BaseTag(std::unique_ptr<Checkpoint> checkpoint);
  ChunkRefs read_chunk_refs(size_t number);

  std::unique_ptr<Checkpoint> checkpoint_;
  std::vector<std::optional<size_t>> base_items_;  // per new item, its number in the base
  std::map<std::pair<Digest, Digest>, size_t> page_numbers_;  // by page and locator
  std::mutex chunk_refs_mutex_;
  std::map<size_t, ChunkRefs> chunk_refs_;  // by item of the base, in order of digests
  mutable std::mutex unread_mutex_;
  std::set<std::pair<uint32_t, uint32_t>> unread_;  // by page and slot
};

}  // namespace cairn
