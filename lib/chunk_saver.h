// The middle of a save: every chunk is digested, compared with the base, looked up, and written
// when it is new. What comes out are the entries of all pages and where their copies lie.
#pragma once

#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/digest.h"
#include "lib/base_tag.h"
#include "lib/chunk_writer.h"
#include "lib/save_plan.h"
#include "store/pack_tables.h"

namespace cairn {

/// The pages of a save, being filled.
struct SavedPage {
  Page page;
  /// Per entry: its copies are the base's; the others are with the chunk writer.
  std::vector<uint8_t> is_of_base;
};

/// Threads: run() once; it uses threads of its own.
class ChunkSaver {
 public:
  ChunkSaver(const Store& store, const SaveRequest& request, const SavePlan& plan, BaseTag* base,
             ChunkWriter& writer);

  Status run();

  /// The page's locator. REQUIRES: run() succeeded. Errors: those of reading the base again.
  Result<Locator> locator(size_t page) const;
  const Page& page(size_t page) const { return pages_[page].page; }

 private:
  struct JobPart;
  struct Jobs {
    std::vector<JobPart> parts;
    std::vector<size_t> first_parts;
  };
  struct ChunkPlace {
    size_t page = 0;
    uint32_t entry = 0;
    size_t item = 0;
    uint64_t chunk = 0;
  };

  /// A unit, where its bytes lie, and what they are.
  struct DigestedUnit {
    Unit unit;
    uint64_t bytes = 0;
    DigestInput rows;
    Digest digest;
  };

  Jobs make_jobs() const;
  uint64_t first_chunk_bytes(const PageRun& run) const;
  Status save_job(std::span<const JobPart> parts);
  Status digest(std::span<DigestedUnit> units) const;
  bool settle(const ChunkPlace& chunk, std::span<const DigestedUnit> units);
  Status write_new(std::span<const DigestedUnit> units, const std::vector<size_t>& wanted);
  Status look_up(const std::vector<Digest>& wanted);
  bool are_there(std::span<const Copy> copies, const ChunkEntry& entry);
  std::optional<DigestInput> rows_of(const Unit& unit) const;
  void gather(const Unit& unit, MutableBytes room) const;
  Status add_copies(const PageRun& run, uint64_t number, const SavedPage& page,
                    Locator& locator) const;
  ByteSpan in_order(const DigestedUnit& digested, AlignedBuffer& room) const;

  const Store& store_;
  const SaveRequest& request_;
  const SavePlan& plan_;
  BaseTag* const base_;
  ChunkWriter& writer_;
  std::vector<SavedPage> pages_;
  PackTables tables_;
  std::mutex look_up_mutex_;
};

}  // namespace cairn
