#include "lib/chunk_saver.h"

#include <algorithm>

#include "base/buffer.h"
#include "base/pipeline.h"
#include "gpu/chunk_digester.h"
#include "lib/strided.h"

namespace cairn {

/// A worker's turn: enough bytes that the digest's lanes stay full and locks are rare, little
/// enough that gathered chunks stay in the cache.
static constexpr uint64_t kJobBytes = 2 * kMiB;
static constexpr size_t kJobChunksMax = 256;
/// Attachments are text and JSON more often than not.
static constexpr int kAttachmentZstdLevel = 3;

/// Consecutive chunks of one run of a page.
struct ChunkSaver::JobPart {
  size_t page = 0;
  PageRun run;
};

ChunkSaver::ChunkSaver(const Store& store, const SaveRequest& request, const SavePlan& plan,
                       BaseTag* base, ChunkWriter& writer)
    : store_(store), request_(request), plan_(plan), base_(base), writer_(writer), tables_(store) {
  for (const auto& runs : plan.pages.pages) {
    size_t entries = 0;
    for (const PageRun& run : runs) entries += run.chunk_count;
    SavedPage& page = pages_.emplace_back();
    page.page.entries.resize(entries);
    page.is_of_base.resize(entries);
  }
}

/// Cuts the runs of all pages into parts, and the parts into jobs: job j is the parts from
/// first_parts[j] on.
ChunkSaver::Jobs ChunkSaver::make_jobs() const {
  Jobs jobs;
  uint64_t room_bytes = 0, room_chunks = 0;
  for (size_t page = 0; page < plan_.pages.pages.size(); ++page) {
    for (PageRun left : plan_.pages.pages[page]) {
      // Every chunk of an item has about the same size: the first one's decides.
      const uint64_t chunk_bytes = std::max<uint64_t>(1, first_chunk_bytes(left));
      while (left.chunk_count > 0) {
        if (room_bytes == 0 || room_chunks == 0) {
          jobs.first_parts.push_back(jobs.parts.size());
          room_bytes = kJobBytes;
          room_chunks = kJobChunksMax;
        }
        PageRun part = left;
        part.chunk_count =
            std::min({left.chunk_count, room_chunks, ceil_div(room_bytes, chunk_bytes)});
        jobs.parts.push_back({page, part});
        room_bytes -= std::min(room_bytes, part.chunk_count * chunk_bytes);
        room_chunks -= part.chunk_count;
        left.first_chunk += part.chunk_count;
        left.first_entry += static_cast<uint32_t>(part.chunk_count);
        left.chunk_count -= part.chunk_count;
      }
    }
  }
  jobs.first_parts.push_back(jobs.parts.size());
  return jobs;
}

uint64_t ChunkSaver::first_chunk_bytes(const PageRun& run) const {
  if (run.item >= plan_.tensors.size()) return plan_.opaque_chunk_bytes;
  const PlannedTensor& tensor = plan_.tensors[run.item];
  return tensor.grid.chunk_box(run.first_chunk).elements() * tensor.form.item_bytes;
}

/// Where a unit lies as rows that can be hashed in place; nullopt when its bytes come from several
/// boxes, or by more than one stride.
std::optional<DigestInput> ChunkSaver::rows_of(const Unit& unit) const {
  if (unit.item >= plan_.tensors.size()) {
    const ByteSpan bytes = plan_.attachments[unit.item - plan_.tensors.size()].bytes;
    return DigestInput{bytes.data() + unit.box.offsets[0], unit.box.lengths[0]};
  }
  const PlannedTensor& tensor = plan_.tensors[unit.item];
  if (unit.sources.size() != 1) return std::nullopt;
  const SourceBox& source = tensor.boxes[unit.sources[0]];
  const StridedSource at =
      sub_box(StridedSource{source.data, source.strides_bytes}, source.box, unit.box);
  const auto rows = as_rows(at.strides_bytes, unit.box.lengths, tensor.form.item_bytes);
  if (!rows) return std::nullopt;
  return DigestInput{at.data, rows->row_bytes, rows->stride_bytes, rows->rows};
}

/// Copies the unit's bytes in row-major order. REQUIRES: a tensor's unit.
void ChunkSaver::gather(const Unit& unit, MutableBytes room) const {
  const PlannedTensor& tensor = plan_.tensors[unit.item];
  const StridedTarget gathered{room.data(),
                               contiguous_strides(unit.box.lengths, tensor.form.item_bytes)};
  for (const size_t number : unit.sources) {
    const SourceBox& source = tensor.boxes[number];
    const Box common = *intersect(source.box, unit.box);
    copy_box(sub_box(StridedSource{source.data, source.strides_bytes}, source.box, common),
             sub_box(gathered, unit.box, common), common.lengths, tensor.form.item_bytes);
  }
}

/// The unit's bytes one after the other: as they lie when they do, else in `room`.
ByteSpan ChunkSaver::in_order(const DigestedUnit& digested, AlignedBuffer& room) const {
  if (digested.rows.rows <= 1) return {digested.rows.data, digested.bytes};
  if (room.size() < digested.bytes) room = AlignedBuffer(digested.bytes);
  gather(digested.unit, room.span());
  return room.span().first(digested.bytes);
}

/// Fills in rows and digests. Units that cannot be hashed where they lie are gathered first; they
/// stay in the thread's room until its next call.
Status ChunkSaver::digest(std::span<DigestedUnit> units) const {
  std::vector<size_t> scattered;
  uint64_t scattered_bytes = 0;
  for (size_t u = 0; u < units.size(); ++u) {
    units[u].bytes = plan_.unit_bytes(units[u].unit);
    if (const auto rows = rows_of(units[u].unit)) {
      units[u].rows = *rows;
    } else {
      scattered.push_back(u);
      scattered_bytes += units[u].bytes;
    }
  }
  thread_local AlignedBuffer room;
  if (room.size() < scattered_bytes) room = AlignedBuffer(scattered_bytes);
  uint64_t taken = 0;
  for (const size_t u : scattered) {
    gather(units[u].unit, room.span().subspan(taken, units[u].bytes));
    units[u].rows = {room.data() + taken, units[u].bytes};
    taken += units[u].bytes;
  }
  std::vector<DigestInput> inputs;
  for (const DigestedUnit& unit : units) inputs.push_back(unit.rows);
  std::vector<Digest> digests(units.size());
  CAIRN_CHECK(host_digester().digest(inputs, digests));
  for (size_t u = 0; u < units.size(); ++u) units[u].digest = digests[u];
  return {};
}

Status ChunkSaver::save_job(std::span<const JobPart> parts) {
  if (request_.call.stop != nullptr && *request_.call.stop) {
    return fail(Code::kCancelled, "the save was stopped");
  }
  std::vector<ChunkPlace> chunks;
  for (const auto& [page, run] : parts) {
    for (uint32_t i = 0; i < run.chunk_count; ++i) {
      chunks.push_back({page, run.first_entry + i, run.item, run.first_chunk + i});
    }
  }
  std::vector<DigestedUnit> units;
  std::vector<size_t> first_units;
  for (const ChunkPlace& chunk : chunks) {
    first_units.push_back(units.size());
    for (Unit& unit : plan_.units_of(chunk.item, chunk.chunk)) {
      units.push_back({std::move(unit), 0, {}, {}});
    }
  }
  first_units.push_back(units.size());
  CAIRN_CHECK(digest(units));

  std::vector<size_t> wanted;
  for (size_t i = 0; i < chunks.size(); ++i) {
    const size_t first = first_units[i], last = first_units[i + 1];
    if (settle(chunks[i], std::span(units).subspan(first, last - first))) continue;
    for (size_t u = first; u < last; ++u) wanted.push_back(u);
  }
  CAIRN_CHECK(write_new(units, wanted));
  if (request_.call.progress != nullptr) {
    for (const DigestedUnit& unit : units) request_.call.progress->done_bytes += unit.bytes;
  }
  return {};
}

/// Makes the chunk's entry. True when no copy has to be made: it is inline, or equal to the base's.
bool ChunkSaver::settle(const ChunkPlace& chunk, std::span<const DigestedUnit> units) {
  SavedPage& page = pages_[chunk.page];
  ChunkEntry& entry = page.page.entries[chunk.entry];
  const bool is_inline = !units[0].unit.is_piece && units[0].bytes <= kInlineBytesMax;
  if (is_inline) {
    AlignedBuffer room;
    const ByteSpan bytes = in_order(units[0], room);
    entry = Bytes(bytes.begin(), bytes.end());
  } else if (units[0].unit.is_piece) {
    std::vector<Piece> pieces;
    for (const DigestedUnit& each : units) {
      pieces.push_back({each.unit.box.offsets, each.unit.box.lengths, each.digest});
    }
    entry = std::move(pieces);
  } else {
    entry = units[0].digest;
  }
  if (base_ != nullptr) {
    const auto copies = base_->equal_copies(chunk.item, chunk.chunk, entry);
    if (copies && are_there(*copies, entry)) {
      page.is_of_base[chunk.entry] = 1;
      return true;
    }
  }
  if (is_inline && chunk.item < plan_.tensors.size()) writer_.count_inline(units[0].bytes);
  return is_inline;
}

Status ChunkSaver::look_up(const std::vector<Digest>& wanted) {
  if (!request_.look_up || wanted.empty()) return {};
  std::vector<std::optional<Copy>> found(wanted.size());
  const std::lock_guard lock(look_up_mutex_);
  // A look-up that fails finds nothing: the chunks are written.
  if (!request_.look_up(wanted, found)) return {};
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (found[i] && tables_.holds(*found[i], wanted[i])) writer_.reuse(wanted[i], *found[i]);
  }
  return {};
}

/// Whether the packs of an entry's copies hold them. The commit looks once more for the packs that
/// a look-up brought in, under the lock; those of the base are leased.
bool ChunkSaver::are_there(std::span<const Copy> copies, const ChunkEntry& entry) {
  bool all = true;
  for_each_stored(entry, copies, [&](const Digest& digest, const Copy& copy) {
    all = all && tables_.holds(copy, digest);
  });
  return all;
}

Status ChunkSaver::write_new(std::span<const DigestedUnit> units,
                             const std::vector<size_t>& wanted) {
  std::vector<Digest> names;
  for (const size_t u : wanted) names.push_back(units[u].digest);
  CAIRN_CHECK(look_up(names));
  thread_local AlignedBuffer room;
  for (const size_t u : wanted) {
    const bool is_tensor = units[u].unit.item < plan_.tensors.size();
    CAIRN_CHECK(writer_.write(units[u].digest, in_order(units[u], room),
                              is_tensor ? request_.zstd_level : kAttachmentZstdLevel, is_tensor));
    if (request_.call.progress != nullptr) request_.call.progress->new_bytes += units[u].bytes;
  }
  return {};
}

Status ChunkSaver::run() {
  if (request_.call.progress != nullptr) {
    request_.call.progress->total_bytes = plan_.logical_bytes + plan_.attachment_bytes;
  }
  const Jobs jobs = make_jobs();
  return parallel_for(jobs.first_parts.size() - 1, request_.call.threads, [&](uint64_t job) {
    const size_t first = jobs.first_parts[job], last = jobs.first_parts[job + 1];
    return save_job(std::span(jobs.parts).subspan(first, last - first));
  });
}

/// The copies of the run's entry of that number.
Status ChunkSaver::add_copies(const PageRun& run, uint64_t number, const SavedPage& page,
                              Locator& locator) const {
  const size_t at = run.first_entry + number;
  const ChunkEntry& entry = page.page.entries[at];
  if (page.is_of_base[at] != 0) {
    const auto copies = base_->equal_copies(run.item, run.first_chunk + number, entry);
    if (!copies) return fail(Code::kCorrupt, "the base tag cannot be read any more");
    locator.copies.insert(locator.copies.end(), copies->begin(), copies->end());
  } else {
    for_each_digest(entry,
                    [&](const Digest& digest) { locator.copies.push_back(writer_.find(digest)); });
  }
  return {};
}

Result<Locator> ChunkSaver::locator(size_t number) const {
  Locator locator;
  for (const PageRun& run : plan_.pages.pages[number]) {
    for (uint64_t i = 0; i < run.chunk_count; ++i) {
      CAIRN_CHECK(add_copies(run, i, pages_[number], locator));
    }
  }
  return locator;
}

}  // namespace cairn
