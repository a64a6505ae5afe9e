#include "gpu/chunker_plan.h"

#include "gpu/chunk_space.h"
#include "gpu/enqueue.h"
#include "gpu/kernel.h"
#include "gpu/mark_candidates.h"
#include "gpu/scan.h"
#include "gpu/tile_read.h"

namespace cairn::gpu {

namespace {

constexpr unsigned kOneBlock = 1024;

struct Contents {
  const DeviceSpan* buffers;
  const uint64_t* first_segments;
  uint64_t count;
};

/// What the kernels share, in the workspace (ChunkSpace).
struct Work {
  uint64_t* starts_count;
  uint64_t* groups;  ///< candidates of each; then how many are before it
  unsigned* counts;  ///< candidates of each segment
  RoundMarks* marks;
  unsigned* roots;  ///< the start that each buffer begins with
  Start* starts;
  Link* links;
  Link* exits;
  Entry* entries;
};

/// The head of the chunks.
struct CutHead {
  uint64_t count;
  uint64_t status;
};

__global__ void __launch_bounds__(256)
    mark_segments(Contents contents, uint64_t segments, unsigned threshold, Work work) {
  const uint64_t warps = uint64_t{gridDim.x} * (blockDim.x / kWarp);
  for (uint64_t segment = uint64_t{blockIdx.x} * (blockDim.x / kWarp) + warp_number();
       segment < segments; segment += warps) {
    const uint64_t number = find_range(contents.first_segments, contents.count, segment);
    const uint64_t first = (segment - contents.first_segments[number]) * kSegmentWords;
    const unsigned found = mark_candidates(contents.buffers[number], first, threshold,
                                           work.marks + segment * kSegmentRounds);
    if (lane_number() != 0) continue;
    work.counts[segment] = found;
    // Of 64 bits in two halves: no group has 2^32 candidates.
    if (found != 0) {
      atomicAdd(reinterpret_cast<unsigned*>(work.groups + segment / kGroupSegments), found);
    }
  }
}

/// How many candidates are before each group; by one block.
__global__ void __launch_bounds__(kOneBlock)
    place_groups(Work work, uint64_t groups, uint64_t buffers, uint64_t starts_most,
                 CutHead* head) {
  auto& memory = shared<BlockSumMemory<uint64_t>>();
  uint64_t before = 0;
  for (uint64_t first = 0; first < groups; first += kOneBlock) {
    const uint64_t group = first + threadIdx.x;
    const auto sum = block_sum(group < groups ? work.groups[group] : 0, memory);
    if (group < groups) work.groups[group] = before + sum.before;
    before += sum.total;
    __syncthreads();
  }
  if (threadIdx.x != 0) return;
  const bool has_room = before + buffers <= starts_most;
  *work.starts_count = has_room ? before + buffers : 0;
  work.roots[buffers] = static_cast<unsigned>(has_room ? before + buffers : 0);
  *head = {0, has_room ? kCutsMade : kTooManyCandidates};
}

/// Writes the candidates of a segment behind each other.
CAIRN_DEVICE void list_segment(const RoundMarks* marks, uint64_t word, uint64_t buffer,
                               Start* starts) {
  for (unsigned round = 0; round < kSegmentRounds; ++round) {
    const RoundMarks& mark = marks[round];
    unsigned lanes = mark.votes[0] | mark.votes[1] | mark.votes[2] | mark.votes[3];
    for (; lanes != 0; lanes &= lanes - 1) {
      const auto lane = static_cast<unsigned>(__ffs(static_cast<int>(lanes)) - 1);
      for (unsigned i = 0; i < 4; ++i) {
        if ((mark.votes[i] >> lane & 1) == 0) continue;
        const uint64_t number = word + round * kRoundWords + 4 * lane + i;
        *starts++ = {kWordBytes * (number + 1), buffer};
      }
    }
  }
}

/// A block for each group, a thread for each of its segments.
__global__ void __launch_bounds__(kGroupSegments)
    list_starts(Contents contents, uint64_t segments, Work work) {
  auto& memory = shared<BlockSumMemory<unsigned>>();
  const uint64_t segment = uint64_t{blockIdx.x} * kGroupSegments + threadIdx.x;
  const unsigned found = segment < segments ? work.counts[segment] : 0;
  const auto sum = block_sum(found, memory);
  if (segment >= segments || *work.starts_count == 0) return;
  const uint64_t number = find_range(contents.first_segments, contents.count, segment);
  const uint64_t first = contents.first_segments[number];
  // The buffers up to this one have a start each that is no candidate.
  const uint64_t place = work.groups[blockIdx.x] + sum.before + number;
  if (segment == first) {
    work.starts[place] = {0, number};
    work.roots[number] = static_cast<unsigned>(place);
  }
  if (found == 0) return;
  list_segment(work.marks + segment * kSegmentRounds, (segment - first) * kSegmentWords, number,
               work.starts + place + 1);
}

/// The first start from `low` on, below `high`, at `position` or behind it; `high` if there is
/// none.
CAIRN_DEVICE unsigned find_start(const Start* starts, unsigned low, unsigned high,
                                 uint64_t position) {
  unsigned step = 1;  // it is near, mostly
  while (low + step < high && starts[low + step - 1].position < position) {
    low += step;
    step *= 2;
  }
  if (low + step < high) high = low + step;
  while (low < high) {
    const unsigned middle = low + (high - low) / 2;
    if (starts[middle].position < position) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

__global__ void __launch_bounds__(256) link_starts(Contents contents, ChunkRule rule, Work work) {
  const uint64_t count = *work.starts_count;
  for (uint64_t i = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count;
       i += uint64_t{gridDim.x} * blockDim.x) {
    const Start start = work.starts[i];
    const uint64_t bytes = contents.buffers[start.buffer].bytes;
    const unsigned end = work.roots[start.buffer + 1];
    Link link{static_cast<unsigned>(i) + 1, bytes == 0 ? 0u : 1u};
    for (uint64_t position = start.position;;) {
      link.next = find_start(work.starts, link.next, end, position + rule.min_bytes);
      if (link.next < end && work.starts[link.next].position <= position + rule.max_bytes) break;
      position += rule.max_bytes;  // cut without a candidate
      if (position >= bytes) {
        link.next = end;
        break;
      }
      ++link.chunks;
    }
    work.links[i] = link;
  }
}

struct LinkMemory {
  Link links[kLinkedStarts];
};

/// Where the chain from each start leaves its run, and the chunks until there.
__global__ void __launch_bounds__(kLinkedStarts) contract_links(Work work) {
  LinkMemory& memory = shared<LinkMemory>();
  const uint64_t count = *work.starts_count;
  const uint64_t first = uint64_t{blockIdx.x} * kLinkedStarts;
  if (first >= count) return;
  const uint64_t i = first + threadIdx.x;
  Link link = i < count ? work.links[i] : Link{kNoStart, 0};
  for (unsigned reach = 1; reach < kLinkedStarts; reach *= 2) {
    memory.links[threadIdx.x] = link;
    __syncthreads();
    if (link.next < first + kLinkedStarts && link.next < count) {
      const Link& further = memory.links[link.next - first];
      link = {further.next, link.chunks + further.chunks};
    }
    __syncthreads();
  }
  if (i < count) work.exits[i] = link;
  if (threadIdx.x == 0) work.entries[blockIdx.x] = {kNoStart, 0};
}

/// One thread; a step for each run.
__global__ void walk_links(Work work, CutHead* head) {
  if (threadIdx.x != 0) return;
  const uint64_t count = *work.starts_count;
  unsigned start = 0, chunks = 0;
  while (start < count) {
    work.entries[start / kLinkedStarts] = {start, chunks};
    const Link exit = work.exits[start];
    start = exit.next;
    chunks += exit.chunks;
  }
  head->count = chunks;
}

struct EmitMemory {
  Link links[kLinkedStarts];
  unsigned chunks_before[kLinkedStarts];
};

/// The chunks from a start to the next one on the chain.
CAIRN_DEVICE void emit_chunks(const DeviceSpan& buffer, uint64_t begin, uint64_t end,
                              const Link& link, uint64_t max_bytes, Tile* tiles) {
  for (unsigned i = 0; i < link.chunks; ++i) {
    const uint64_t bytes = i + 1 < link.chunks ? max_bytes : end - begin;
    tiles[i] = {buffer.data + begin, bytes, 0, 1};
    begin += bytes;
  }
}

/// The tiles of a run of starts: one thread finds which of them the chain touches, then each of
/// these writes its own.
__global__ void __launch_bounds__(kLinkedStarts)
    emit_tiles(Contents contents, ChunkRule rule, Work work, Tile* tiles) {
  EmitMemory& memory = shared<EmitMemory>();
  const uint64_t count = *work.starts_count;
  const uint64_t first = uint64_t{blockIdx.x} * kLinkedStarts;
  if (first >= count) return;
  const Entry entry = work.entries[blockIdx.x];
  const uint64_t i = first + threadIdx.x;
  memory.links[threadIdx.x] = i < count ? work.links[i] : Link{kNoStart, 0};
  memory.chunks_before[threadIdx.x] = kNoStart;
  __syncthreads();
  if (threadIdx.x == 0) {
    unsigned start = entry.start, chunks = entry.chunks;
    while (start < first + kLinkedStarts && start < count) {
      memory.chunks_before[start - first] = chunks;
      const Link& link = memory.links[start - first];
      start = link.next;
      chunks += link.chunks;
    }
  }
  __syncthreads();
  if (memory.chunks_before[threadIdx.x] == kNoStart) return;
  const Start start = work.starts[i];
  const Link& link = memory.links[threadIdx.x];
  const DeviceSpan& buffer = contents.buffers[start.buffer];
  const bool is_last = link.next == work.roots[start.buffer + 1];
  emit_chunks(buffer, start.position, is_last ? buffer.bytes : work.starts[link.next].position,
              link, rule.max_bytes, tiles + memory.chunks_before[threadIdx.x]);
}

/// For each level of the digest's trees, where the nodes of each tile begin; by one block.
__global__ void __launch_bounds__(kOneBlock)
    lay_out_nodes(const CutHead* head, const Tile* tiles, uint64_t* first, uint64_t capacity,
                  unsigned joins) {
  constexpr unsigned kTiles = 8;  // of a thread, between two barriers
  auto& memory = shared<BlockSumMemory<uint64_t>>();
  const uint64_t count = head->count;
  for (unsigned level = 0; level <= joins; ++level, first += capacity + 1) {
    uint64_t begin = 0;
    for (uint64_t round = 0; round < count; round += kOneBlock * kTiles) {
      const uint64_t mine = round + threadIdx.x * kTiles;
      uint64_t nodes[kTiles], sum = 0;
      for (unsigned i = 0; i < kTiles; ++i) {
        nodes[i] = mine + i < count ? digest_nodes(tiles[mine + i].row_bytes, level) : 0;
        sum += nodes[i];
      }
      const auto sums = block_sum(sum, memory);
      uint64_t place = begin + sums.before;
      for (unsigned i = 0; i < kTiles; ++i) {
        if (mine + i < count) first[mine + i] = place;
        place += nodes[i];
      }
      begin += sums.total;
      __syncthreads();
    }
    if (threadIdx.x == 0) first[count] = begin;
  }
}

}  // namespace

Status cut(Stream stream, const ChunkPlan& plan, DeviceSpan image, DeviceSpan workspace,
           DeviceSpan chunks, Share share) {
  const ChunkSpace space{0, plan.segments_, plan.buffers_, plan.starts_most_};
  const DigestImage& layout = plan.chunks_.layout();
  CAIRN_CHECK(check_room("the image of a chunk plan", image, plan.image_.size()));
  CAIRN_CHECK(check_room("the workspace of a cut", workspace, space.bytes()));
  CAIRN_CHECK(check_room("the chunks", chunks, layout.bytes()));
  CAIRN_CHECK(fill_zeros(stream, chunks.data, layout.tiles_at()));
  if (plan.buffers_ == 0) return {};
  const auto* buffers = reinterpret_cast<const DeviceSpan*>(image.data);
  const Contents contents{buffers, reinterpret_cast<const uint64_t*>(buffers + plan.buffers_),
                          plan.buffers_};
  uint8_t* const at = workspace.data;
  const Work work{reinterpret_cast<uint64_t*>(at),
                  reinterpret_cast<uint64_t*>(at + space.groups_at()),
                  reinterpret_cast<unsigned*>(at + space.counts_at()),
                  reinterpret_cast<RoundMarks*>(at + space.marks_at()),
                  reinterpret_cast<unsigned*>(at + space.roots_at()),
                  reinterpret_cast<Start*>(at + space.starts_at()),
                  reinterpret_cast<Link*>(at + space.links_at()),
                  reinterpret_cast<Link*>(at + space.exits_at()),
                  reinterpret_cast<Entry*>(at + space.entries_at())};
  auto* head = reinterpret_cast<CutHead*>(chunks.data);
  auto* tiles = reinterpret_cast<Tile*>(chunks.data + layout.tiles_at());
  auto* first = reinterpret_cast<uint64_t*>(chunks.data + layout.level_at(0));
  const auto runs = static_cast<unsigned>(space.runs());
  CAIRN_CHECK(fill_zeros(stream, work.groups, 8 * space.groups()));
  CAIRN_CHECK(launch(stream, shape_for(plan.segments_ * kWarp, share), "mark_segments",
                     mark_segments, contents, plan.segments_, plan.rule_.threshold, work));
  CAIRN_CHECK(launch(stream, {1, kOneBlock}, "place_groups", place_groups, work, space.groups(),
                     plan.buffers_, plan.starts_most_, head));
  CAIRN_CHECK(launch(stream, {static_cast<unsigned>(space.groups()), kGroupSegments}, "list_starts",
                     list_starts, contents, plan.segments_, work));
  CAIRN_CHECK(launch(stream, shape_for(plan.starts_most_, share), "link_starts", link_starts,
                     contents, plan.rule_, work));
  CAIRN_CHECK(launch(stream, {runs, kLinkedStarts}, "contract_links", contract_links, work));
  CAIRN_CHECK(launch(stream, {1, kWarp}, "walk_links", walk_links, work, head));
  CAIRN_CHECK(launch(stream, {runs, kLinkedStarts}, "emit_tiles", emit_tiles, contents, plan.rule_,
                     work, tiles));
  return launch(stream, {1, kOneBlock}, "lay_out_nodes", lay_out_nodes, head, tiles, first,
                layout.capacity, layout.joins);
}

}  // namespace cairn::gpu
