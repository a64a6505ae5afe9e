#include "gpu/chunker_plan.h"

#include "gpu/chunk_space.h"
#include "gpu/enqueue.h"
#include "gpu/kernel.h"
#include "gpu/mark_candidates.h"
#include "gpu/scan.h"
#include "gpu/search.h"
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
  unsigned* groups;  ///< candidates of each; then how many are before it
  unsigned* counts;  ///< candidates of each segment
  RoundMarks* marks;
  unsigned* roots;  ///< the start that each buffer begins with
  Start* starts;
  Link* links;
  Link* exits;
  Entry* entries;
};

/// What comes of it: the image of a digest.
struct Cuts {
  DigestHead* head;
  Tile* tiles;
  uint64_t* leaves_before;
};

__global__ void __launch_bounds__(1024)
    mark_segments(Contents contents, uint64_t segments, unsigned threshold, Work work) {
  for (uint64_t segment = first_warp(); segment < segments; segment += all_warps()) {
    const uint64_t number = find_range_together(contents.first_segments, contents.count, segment);
    const uint64_t first = (segment - contents.first_segments[number]) * kSegmentWords;
    const unsigned found = mark_candidates(contents.buffers[number], first, threshold,
                                           work.marks + segment * kSegmentRounds);
    if (lane_number() != 0) continue;
    work.counts[segment] = found;
    if (found != 0) atomicAdd(work.groups + segment / kGroupSegments, found);
  }
}

/// How many candidates are before each group; by one block.
__global__ void __launch_bounds__(kOneBlock)
    place_groups(Work work, uint64_t groups, uint64_t buffers, uint64_t starts_most, Cuts cuts) {
  auto& memory = shared<BlockSumMemory<uint64_t>>();
  uint64_t before = 0;
  for (uint64_t first = 0; first < groups; first += kOneBlock) {
    const uint64_t group = first + threadIdx.x;
    const auto sum = block_sum<uint64_t>(group < groups ? work.groups[group] : 0, memory);
    // Of too many candidates nothing is used.
    if (group < groups) work.groups[group] = static_cast<unsigned>(before + sum.before);
    before += sum.total;
    __syncthreads();
  }
  if (threadIdx.x != 0) return;
  const bool has_room = before + buffers <= starts_most;
  *work.starts_count = has_room ? before + buffers : 0;
  work.roots[buffers] = static_cast<unsigned>(has_room ? before + buffers : 0);
  *cuts.head = {0, has_room ? kCutsMade : kTooManyCandidates};
}

/// Writes the candidates of a segment behind each other, a round for each lane of a warp.
CAIRN_DEVICE void list_segment(const RoundMarks* marks, uint64_t first_word, uint64_t buffer,
                               Start* starts) {
  const RoundMarks mark = marks[lane_number()];
  unsigned found = 0;
  for (unsigned i = 0; i < 4; ++i) found += static_cast<unsigned>(__popc(mark.votes[i]));
  starts += warp_sum_up_to(found) - found;
  unsigned lanes = mark.votes[0] | mark.votes[1] | mark.votes[2] | mark.votes[3];
  for (; lanes != 0; lanes &= lanes - 1) {
    const auto lane = static_cast<unsigned>(__ffs(static_cast<int>(lanes)) - 1);
    for (unsigned i = 0; i < 4; ++i) {
      if ((mark.votes[i] >> lane & 1) == 0) continue;
      const uint64_t word = first_word + lane_number() * kRoundWords + 4 * lane + i;
      *starts++ = {kWordBytes * (word + 1), buffer};
    }
  }
}

struct ListMemory {
  BlockSumMemory<unsigned> sums;
  unsigned before[kGroupSegments];  ///< candidates of the group before each segment
};

/// A block for each group: a thread counts for each of its segments, then a warp lists each.
__global__ void __launch_bounds__(kGroupSegments)
    list_starts(Contents contents, uint64_t segments, uint64_t groups, Work work) {
  auto& memory = shared<ListMemory>();
  if (*work.starts_count == 0) return;
  for (uint64_t group = blockIdx.x; group < groups; group += gridDim.x) {
    const uint64_t first_segment = group * kGroupSegments, mine = first_segment + threadIdx.x;
    memory.before[threadIdx.x] =
        block_sum(mine < segments ? work.counts[mine] : 0u, memory.sums).before;
    __syncthreads();
    for (unsigned i = warp_number(); i < kGroupSegments; i += blockDim.x / kWarp) {
      const uint64_t segment = first_segment + i;
      if (segment >= segments) break;
      const uint64_t number = find_range_together(contents.first_segments, contents.count, segment);
      const uint64_t first = contents.first_segments[number];
      // The buffers before this one have a start each that is no candidate.
      const uint64_t place = work.groups[group] + memory.before[i] + number;
      if (segment == first && lane_number() == 0) {
        work.starts[place] = {0, number};
        work.roots[number] = static_cast<unsigned>(place);
      }
      if (work.counts[segment] == 0) continue;
      list_segment(work.marks + segment * kSegmentRounds, (segment - first) * kSegmentWords, number,
                   work.starts + place + 1);
    }
    __syncthreads();
  }
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

/// What begins at a start, up to the start that is next on a chain through it.
CAIRN_DEVICE Link link_from(const Start& start, unsigned after, unsigned end, uint64_t bytes,
                            const ChunkRule& rule, const Start* starts) {
  Link link{after, 0, 0};
  uint64_t position = start.position;
  if (position == bytes) return link;  // an empty buffer
  while (true) {
    link.next = position + rule.min_bytes < bytes
                    ? find_start(starts, link.next, end, position + rule.min_bytes)
                    : end;
    const uint64_t stop = link.next < end ? starts[link.next].position : bytes;
    // Cut without a candidate, as often as one more chunk does not reach it.
    const uint64_t forced = (stop - position - 1) / rule.max_bytes;
    link.chunks += static_cast<unsigned>(forced);
    link.leaves += forced * leaves_of(rule.max_bytes);
    position += forced * rule.max_bytes;
    // The candidate may have come too near by that; what is left of a buffer never is.
    if (link.next < end && stop - position < rule.min_bytes) continue;
    ++link.chunks;
    link.leaves += leaves_of(stop - position);
    return link;
  }
}

__global__ void __launch_bounds__(1024) link_starts(Contents contents, ChunkRule rule, Work work) {
  const uint64_t count = *work.starts_count;
  for (uint64_t i = first_thread(); i < count; i += all_threads()) {
    const Start start = work.starts[i];
    work.links[i] = link_from(start, static_cast<unsigned>(i) + 1, work.roots[start.buffer + 1],
                              contents.buffers[start.buffer].bytes, rule, work.starts);
  }
}

struct ContractMemory {
  Link links[kLinkedStarts];
};

/// Where the chain from each start leaves its run, and what is until there.
__global__ void __launch_bounds__(kLinkedStarts) contract_links(Work work) {
  auto& memory = shared<ContractMemory>();
  const uint64_t count = *work.starts_count;
  for (uint64_t run = blockIdx.x; run * kLinkedStarts < count; run += gridDim.x) {
    const uint64_t first = run * kLinkedStarts, i = first + threadIdx.x;
    Link link = i < count ? work.links[i] : Link{kNoStart, 0, 0};
    for (unsigned reach = 1; reach < kLinkedStarts; reach *= 2) {
      memory.links[threadIdx.x] = link;
      __syncthreads();
      if (link.next < first + kLinkedStarts && link.next < count) {
        const Link& further = memory.links[link.next - first];
        link = {further.next, link.chunks + further.chunks, link.leaves + further.leaves};
      }
      __syncthreads();
    }
    if (i < count) work.exits[i] = link;
    if (threadIdx.x == 0) work.entries[run] = {kNoStart, 0, 0};
  }
}

/// One thread; a step for each run.
__global__ void __launch_bounds__(kWarp) walk_links(Work work, Cuts cuts) {
  if (threadIdx.x != 0) return;
  const uint64_t count = *work.starts_count;
  Entry at{0, 0, 0};
  while (at.start < count) {
    work.entries[at.start / kLinkedStarts] = at;
    const Link exit = work.exits[at.start];
    at = {exit.next, at.chunks + exit.chunks, at.leaves + exit.leaves};
  }
  cuts.head->tiles = at.chunks;
  cuts.leaves_before[at.chunks] = at.leaves;
}

struct EmitMemory {
  Link links[kLinkedStarts];
  Entry before[kLinkedStarts];  ///< kNoStart for starts that the chain does not touch
};

/// The chunks from a start to the next one on the chain.
CAIRN_DEVICE void emit_chunks(const DeviceSpan& buffer, uint64_t begin, uint64_t end,
                              const Entry& before, unsigned chunks, uint64_t max_bytes,
                              const Cuts& cuts) {
  uint64_t leaves = before.leaves;
  for (unsigned i = 0; i < chunks; ++i) {
    const uint64_t bytes = i + 1 < chunks ? max_bytes : end - begin;
    cuts.tiles[before.chunks + i] = {buffer.data + begin, bytes, 0, 1};
    cuts.leaves_before[before.chunks + i] = leaves;
    begin += bytes;
    leaves += leaves_of(bytes);
  }
}

/// The tiles of a run of starts: one thread finds which of them the chain touches, then each of
/// these writes its own.
__global__ void __launch_bounds__(kLinkedStarts, 1)
    emit_tiles(Contents contents, ChunkRule rule, Work work, Cuts cuts) {
  auto& memory = shared<EmitMemory>();
  const uint64_t count = *work.starts_count;
  for (uint64_t run = blockIdx.x; run * kLinkedStarts < count; run += gridDim.x) {
    const uint64_t first = run * kLinkedStarts, i = first + threadIdx.x;
    memory.links[threadIdx.x] = i < count ? work.links[i] : Link{kNoStart, 0, 0};
    memory.before[threadIdx.x].start = kNoStart;
    __syncthreads();
    if (threadIdx.x == 0) {
      Entry at = work.entries[run];
      while (at.start < first + kLinkedStarts && at.start < count) {
        memory.before[at.start - first] = at;
        const Link& link = memory.links[at.start - first];
        at = {link.next, at.chunks + link.chunks, at.leaves + link.leaves};
      }
    }
    __syncthreads();
    const Entry before = memory.before[threadIdx.x];
    if (before.start != kNoStart) {
      const Start start = work.starts[i];
      const Link& link = memory.links[threadIdx.x];
      const DeviceSpan buffer = contents.buffers[start.buffer];
      const bool is_last = link.next == work.roots[start.buffer + 1];
      emit_chunks(buffer, start.position, is_last ? buffer.bytes : work.starts[link.next].position,
                  before, link.chunks, rule.max_bytes, cuts);
    }
    __syncthreads();
  }
}

Work work_in(const ChunkSpace& space, uint8_t* at) {
  return {reinterpret_cast<uint64_t*>(at + space.count_at()),
          reinterpret_cast<unsigned*>(at + space.groups_at()),
          reinterpret_cast<unsigned*>(at + space.counts_at()),
          reinterpret_cast<RoundMarks*>(at + space.marks_at()),
          reinterpret_cast<unsigned*>(at + space.roots_at()),
          reinterpret_cast<Start*>(at + space.starts_at()),
          reinterpret_cast<Link*>(at + space.links_at()),
          reinterpret_cast<Link*>(at + space.exits_at()),
          reinterpret_cast<Entry*>(at + space.entries_at())};
}

}  // namespace

Status cut(Stream stream, const ChunkPlan& plan, DeviceSpan image, DeviceSpan workspace,
           DeviceSpan chunks, Share share) {
  const ChunkSpace space{plan.segments_, plan.buffers_, plan.starts_most_};
  const DigestImage& layout = plan.chunks_.layout();
  CAIRN_CHECK(check_room("the image of a chunk plan", image, plan.image_.size()));
  CAIRN_CHECK(check_room("the workspace of a cut", workspace, space.bytes()));
  CAIRN_CHECK(check_room("the chunks", chunks, layout.bytes()));
  if (plan.buffers_ == 0) return fill_zeros(stream, chunks.data, sizeof(DigestHead));
  const auto* buffers = reinterpret_cast<const DeviceSpan*>(image.data);
  const Contents contents{buffers, reinterpret_cast<const uint64_t*>(buffers + plan.buffers_),
                          plan.buffers_};
  const Work work = work_in(space, workspace.data);
  const Cuts cuts{reinterpret_cast<DigestHead*>(chunks.data),
                  reinterpret_cast<Tile*>(chunks.data + layout.tiles_at()),
                  reinterpret_cast<uint64_t*>(chunks.data + layout.leaves_at())};
  const Shape runs = shape_of_blocks(space.runs(), kLinkedStarts, share);
  CAIRN_CHECK(fill_zeros(stream, work.groups, sizeof(unsigned) * space.groups()));
  CAIRN_CHECK(launch(stream, shape_for(plan.segments_ * kWarp, share), "mark_segments",
                     mark_segments, contents, plan.segments_, plan.rule_.threshold, work));
  CAIRN_CHECK(launch(stream, {1, kOneBlock}, "place_groups", place_groups, work, space.groups(),
                     plan.buffers_, plan.starts_most_, cuts));
  CAIRN_CHECK(launch(stream, shape_of_blocks(space.groups(), kGroupSegments, share), "list_starts",
                     list_starts, contents, plan.segments_, space.groups(), work));
  CAIRN_CHECK(launch(stream, shape_for(plan.starts_most_, share), "link_starts", link_starts,
                     contents, plan.rule_, work));
  CAIRN_CHECK(launch(stream, runs, "contract_links", contract_links, work));
  CAIRN_CHECK(launch(stream, {1, kWarp}, "walk_links", walk_links, work, cuts));
  return launch(stream, runs, "emit_tiles", emit_tiles, contents, plan.rule_, work, cuts);
}

}  // namespace cairn::gpu
