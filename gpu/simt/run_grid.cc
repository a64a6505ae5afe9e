#include "gpu/simt/run_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "gpu/simt/faults.h"
#include "gpu/simt/fiber.h"

namespace cairn::gpu::simt {

namespace {

constexpr unsigned kThreadsMost = 1024;
constexpr unsigned kBlocksAtOnce = 3;  // most that are under way together

// Words at which threads wait for each other.
constexpr const char* kBlockBarrier = "__syncthreads";
constexpr const char* kWarpBarrier = "__syncwarp";
constexpr const char* kExchange = "an exchange of lanes";

struct Block;

struct Thread {
  Fiber* fiber = nullptr;
  Block* block = nullptr;
  unsigned number = 0;
  const char* waits_in = nullptr;  ///< of the words below; nullptr while it can go on
  uint64_t given = 0;
  std::array<uint64_t, kWarpLanes> taken{};
  int count = 0;
};

/// A set of threads that wait for each other: a block, or a warp.
struct Meeting {
  unsigned arrived = 0;
  const char* word = nullptr;
};

struct Block {
  unsigned number = 0;
  unsigned ended = 0;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Thread> threads;
  Meeting all;
  std::vector<Meeting> warps;
  int votes = 0;  ///< at the barrier that is met now
  int count = 0;  ///< of the last barrier
  FreshMemory memory;
};

struct Grid {
  std::string_view name;
  unsigned blocks = 0, threads = 0;
  const std::function<void()>* body = nullptr;
  std::mt19937_64 random;
  std::vector<Thread*> runnable;
  bool is_abandoned = false;

  size_t draw(size_t below) { return random() % below; }
  Status run();
  bool start(Block& block, unsigned number);
  void abandon(const std::vector<std::unique_ptr<Block>>& under_way);
  void step();
  void meet(Meeting& meeting, Thread& self, const char* word, unsigned first, unsigned count);
  static void take_values(Thread& thread);
  std::string describe_deadlock(const std::vector<std::unique_ptr<Block>>& under_way) const;
};

thread_local Grid* current_grid = nullptr;
thread_local Thread* current_thread = nullptr;
thread_local unsigned most_blocks = 0;
std::atomic<uint64_t> schedule_seed{1};

void run_body(void*) {
  (*current_grid->body)();
  order_release(current_grid);
}

Status Grid::run() {
  // Kept from grid to grid: stacks cost more than what most tests run on them.
  thread_local std::vector<std::unique_ptr<Block>> idle;
  while (idle.size() < kBlocksAtOnce) idle.push_back(std::make_unique<Block>());
  std::vector<std::unique_ptr<Block>> under_way;
  const size_t at_once = 1 + draw(kBlocksAtOnce);
  const size_t turn = draw(blocks);  // not in the order of their numbers: devices start any first
  Status status;
  for (unsigned next = 0; status && (next < blocks || !under_way.empty());) {
    while (status && next < blocks && under_way.size() < at_once) {
      under_way.push_back(std::move(idle.back()));
      idle.pop_back();
      const bool has_room =
          start(*under_way.back(), static_cast<unsigned>((turn + next++) % blocks));
      if (!has_room) status = fail(Code::kNoSpace, fmt::format("kernel {}: no memory", name));
    }
    if (runnable.empty()) status = fail(Code::kFailed, describe_deadlock(under_way));
    if (status) step();
    const auto ended = std::find_if(under_way.begin(), under_way.end(),
                                    [&](const auto& block) { return block->ended == threads; });
    if (ended == under_way.end()) continue;
    idle.push_back(std::move(*ended));
    under_way.erase(ended);
  }
  if (!status) abandon(under_way);
  std::move(under_way.begin(), under_way.end(), std::back_inserter(idle));
  return status;
}

/// The caller is to see what threads did that go no further, as it sees what others did.
void Grid::abandon(const std::vector<std::unique_ptr<Block>>& under_way) {
  is_abandoned = true;
  for (const auto& block : under_way) {
    for (const Thread& thread : block->threads) {
      if (thread.waits_in != nullptr) thread.fiber->resume();
    }
  }
}

/// False where there is no memory for it.
bool Grid::start(Block& block, unsigned number) {
  block.number = number;
  block.ended = 0;
  block.all = {};
  block.votes = 0;
  // Anew for each block: what another one did there has nothing to do with it.
  block.memory = FreshMemory(kBlockMemoryBytes);
  if (block.memory.data() == nullptr) return false;
  std::fill_n(static_cast<uint64_t*>(block.memory.data()), kBlockMemoryBytes / 8,
              0xDEADBEEFCAFEF00D);
  block.warps.assign(threads / kWarpLanes, {});
  block.threads.assign(threads, {});
  while (block.fibers.size() < threads) block.fibers.push_back(std::make_unique<Fiber>());
  // Another stack each time, so that few races between blocks pass for order of their stacks.
  const size_t turn = draw(block.fibers.size());
  for (unsigned i = 0; i < threads; ++i) {
    Thread& thread = block.threads[i];
    thread.block = &block;
    thread.number = i;
    thread.fiber = block.fibers[(i + turn) % block.fibers.size()].get();
    if (!thread.fiber->prepare(run_body, nullptr)) return false;
    runnable.push_back(&thread);
  }
  return true;
}

/// Lets one thread run until it waits or ends.
void Grid::step() {
  std::swap(runnable[draw(runnable.size())], runnable.back());
  Thread& thread = *runnable.back();
  runnable.pop_back();
  current_thread = &thread;
  thread.fiber->resume();
  current_thread = nullptr;
  if (thread.fiber->has_ended()) ++thread.block->ended;
}

/// The thread comes to where others are to come too, and goes on after the last of them has come.
void Grid::meet(Meeting& meeting, Thread& self, const char* word, unsigned first, unsigned count) {
  self.waits_in = word;
  if (meeting.arrived == 0) meeting.word = word;
  // Threads that meet at different words wait in vain, as they may on a device.
  if (meeting.word == word && ++meeting.arrived == count) {
    meeting = {};
    if (word == kBlockBarrier) self.block->count = std::exchange(self.block->votes, 0);
    for (unsigned i = first; i < first + count; ++i) {
      Thread& thread = self.block->threads[i];
      thread.waits_in = nullptr;
      thread.count = self.block->count;
      if (word == kExchange) take_values(thread);
      runnable.push_back(&thread);
    }
  }
  self.fiber->suspend();
  while (is_abandoned) {
    order_release(this);
    self.fiber->suspend();
  }
}

/// What all lanes of its warp gave, before any of them gives again.
void Grid::take_values(Thread& thread) {
  const unsigned warp = thread.number / kWarpLanes * kWarpLanes;
  for (unsigned lane = 0; lane < kWarpLanes; ++lane) {
    thread.taken[lane] = thread.block->threads[warp + lane].given;
  }
}

std::string Grid::describe_deadlock(const std::vector<std::unique_ptr<Block>>& under_way) const {
  for (const auto& block : under_way) {
    for (const Thread& waiting : block->threads) {
      if (waiting.waits_in == nullptr) continue;
      for (const Thread& other : block->threads) {
        const bool is_met = waiting.waits_in == kBlockBarrier ||
                            other.number / kWarpLanes == waiting.number / kWarpLanes;
        const bool has_ended = other.fiber->has_ended();
        if (!is_met || (!has_ended && other.waits_in == waiting.waits_in)) continue;
        return fmt::format("kernel {}, block {}: thread {} waits in {} for thread {}, which {}",
                           name, block->number, waiting.number, waiting.waits_in, other.number,
                           has_ended ? "has ended" : fmt::format("waits in {}", other.waits_in));
      }
    }
  }
  return fmt::format("kernel {}: all threads wait", name);
}

}  // namespace

unsigned largest_grid() { return std::exchange(most_blocks, 0); }

void set_schedule(uint64_t seed) {
  schedule_seed = seed;
  set_queue_schedule(seed);
}

Status check_grid(std::string_view name, unsigned blocks, unsigned threads) {
  if (threads == 0 || threads > kThreadsMost || threads % kWarpLanes != 0 || blocks == 0 ||
      blocks > 0x7fffffff) {
    return fail(Code::kUsage, fmt::format("kernel {}: {} blocks of {} threads: no such grid", name,
                                          blocks, threads));
  }
  return {};
}

Status run_grid(std::string_view name, unsigned blocks, unsigned threads,
                const std::function<void()>& body) {
  CAIRN_CHECK(check_grid(name, blocks, threads));
  Grid grid{name, blocks, threads, &body, std::mt19937_64(schedule_seed), {}, false};
  most_blocks = std::max(most_blocks, blocks);
  current_grid = &grid;
  const Status status = grid.run();
  current_grid = nullptr;
  order_acquire(&grid);  // the caller sees what all threads did
  return status;
}

Index thread_index() { return {current_thread->number}; }
Index block_index() { return {current_thread->block->number}; }
Index block_size() { return {current_grid->threads}; }
Index grid_size() { return {current_grid->blocks}; }

int block_barrier(int vote) {
  Thread& self = *current_thread;
  Block& block = *self.block;
  if (vote != 0) ++block.votes;
  order_release(&block.all);
  current_grid->meet(block.all, self, kBlockBarrier, 0, current_grid->threads);
  order_acquire(&block.all);
  return self.count;
}

void warp_barrier() {
  Thread& self = *current_thread;
  Meeting& warp = self.block->warps[self.number / kWarpLanes];
  order_release(&warp);
  current_grid->meet(warp, self, kWarpBarrier, self.number / kWarpLanes * kWarpLanes, kWarpLanes);
  order_acquire(&warp);
}

const uint64_t* warp_exchange(uint64_t value) {
  Thread& self = *current_thread;
  self.given = value;
  current_grid->meet(self.block->warps[self.number / kWarpLanes], self, kExchange,
                     self.number / kWarpLanes * kWarpLanes, kWarpLanes);
  return self.taken.data();
}

void* block_memory() { return current_thread->block->memory.data(); }

}  // namespace cairn::gpu::simt
