// The middle of a save: every chunk is digested, compared with the base, looked up, and encoded and
// written when it is new. What comes out are the entries of all pages and where their copies lie.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/digest.h"
#include "lib/base_memory.h"
#include "lib/base_tag.h"
#include "lib/chunk_writer.h"
#include "lib/cluster_encoder.h"
#include "lib/restore_budget.h"
#include "lib/save_groups.h"
#include "lib/save_plan.h"
#include "store/needed_bases.h"
#include "store/pack_reader.h"
#include "store/pack_tables.h"

namespace cairn {

/// The pages of a save, being filled.
struct SavedPage {
  Page page;
  /// Per entry: its copies are the base's; the others are with the chunk writer.
  std::vector<uint8_t> is_of_base;
  /// Per entry: the base has the same chunk, but its copies would not do.
  std::vector<uint8_t> is_renewed;
  /// By entry and unit: copies that stand for this place alone.
  std::map<std::pair<uint32_t, uint32_t>, ChunkCopy> own;
};

/// Threads: run() once; it uses threads of its own.
class ChunkSaver {
 public:
  /// `weights_direct`: weights must be readable without other tensors.
  ChunkSaver(const Store& store, const SaveRequest& request, const SavePlan& plan, BaseTag* base,
             ChunkWriter& writer, bool weights_direct);

  Status run();

  /// The digests of all pages, in order. REQUIRES: run() succeeded.
  std::vector<Digest> page_digests() const;
  /// The page's locator. `digests`: of all pages. REQUIRES: run() succeeded. Errors: those of
  /// reading the base again.
  Result<Locator> locator(size_t page, const std::vector<Digest>& digests) const;
  const Page& page(size_t page) const { return pages_[page].page; }
  /// What the base has for a page of that digest, if it can be read and its packs hold it. Copies
  /// that the base does not need, which its lease does not protect, are those of `fresh`: nothing
  /// of the base is made from them, so they may be made from it. So are those that had to be
  /// written anew, which stand alone. `number`: of the page in this save.
  std::optional<Locator> sound_copies(size_t number, const Digest& page, const Locator& fresh);

 private:
  struct JobPart;
  /// A unit, where its bytes lie, and what they are.
  struct DigestedUnit {
    Unit unit;
    OwnPlace place;
    uint64_t bytes = 0;
    DigestInput rows;
    Digest digest;
    bool is_wanted = false;
  };
  /// Chunks of the items of a group that are encoded together.
  struct ChunkUnits {
    const SaveGroup* group = nullptr;
    uint64_t chunk = 0;
    std::vector<DigestedUnit> units;  // of all items, in the group's order
  };

  std::function<bool()> time_to_encode() const;
  std::vector<std::vector<JobPart>> make_jobs(std::span<const SaveGroup> groups) const;
  Status run_jobs(std::span<const SaveGroup> groups);
  uint64_t chunk_bytes(size_t item) const;
  ChunkUnits units_of(const SaveGroup& group, uint64_t chunk) const;
  Status save_job(const std::vector<JobPart>& parts);
  Status digest(std::vector<ChunkUnits>& chunks) const;
  void settle(ChunkUnits& chunk);
  bool must_stand_alone(size_t item) const;
  std::vector<bool> renewed_slots(size_t number) const;
  bool settle_item(size_t item, const ChunkUnits& chunk, std::span<DigestedUnit> units);
  bool must_renew(size_t item, const ChunkUnits& chunk, std::span<const Copy> copies);
  Status look_up(const std::vector<ChunkUnits>& chunks);
  bool hold_all(const DecodePlan& plan);
  bool are_there(size_t item, uint64_t chunk, std::span<const Copy> copies,
                 const ChunkEntry& entry);
  Status write_new(ChunkUnits& chunk);
  Status write_cluster(const ChunkUnits& chunk, std::span<const size_t> units);
  Cluster cluster_of(const ChunkUnits& chunk, std::span<const size_t> units);
  void recall_before(const ChunkUnits& chunk, std::span<const size_t> units,
                     Cluster& cluster) const;
  void read_before(Cluster& cluster);
  Status store_member(const Cluster& cluster, size_t member, bool weights_first);
  Status write_opaque(const Member& member);
  std::optional<DigestInput> rows_of(const Unit& unit) const;
  void gather(const Unit& unit, MutableBytes room) const;
  ByteSpan in_order(const DigestedUnit& digested, AlignedBuffer& room) const;
  Copy named(const ChunkCopy& found, const std::vector<Digest>& digests) const;
  Status add_copies(const PageRun& run, uint64_t number, const SavedPage& page,
                    const std::vector<Digest>& digests, Locator& locator) const;

  const Store& store_;
  const SaveRequest& request_;
  const SavePlan& plan_;
  BaseTag* const base_;
  ChunkWriter& writer_;
  const bool weights_direct_;
  ClusterEncoder encoder_, opaque_encoder_;
  BaseMemory base_memory_;
  RestoreBudget budget_;
  std::vector<SaveGroup> groups_;
  std::vector<StepFacts> facts_;  // by tensor
  std::vector<SavedPage> pages_;
  mutable std::vector<std::vector<uint32_t>> first_slots_;  // by page and entry
  std::optional<NeededBases> needed_bases_;                 // of the base, once asked for
  PackTables tables_;
  PackReader packs_;
  std::mutex look_up_mutex_;
  std::mutex own_mutex_;  // of SavedPage::own
};

}  // namespace cairn
