#include "tests/gpu/nccl/fake_nccl.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string_view>
#include <thread>
#include <vector>

#include "gpu/nccl/nccl_library.h"
#include "tests/gpu/nccl/fake_meeting.h"

namespace {

using cairn::gpu::kNcclInProgress;
using cairn::gpu::kNcclSuccess;
using cairn::gpu::NcclConfig;
using cairn::gpu::NcclId;
using Bytes = std::vector<uint8_t>;

std::mutex mutex;  // guards all of this library; not held while streams are called
std::condition_variable changed;
FakeNcclFaults faults_now;
FakeNcclCounts counts;
std::map<void*, int> under_way;  // by stream
const CairnSimulatedStreams* streams = nullptr;

/// Waits, also for what other processes do.
template <class Is>
void wait_until(std::unique_lock<std::mutex>& lock, const Is& is) {
  while (!is()) {
    if (FakeMeeting::is_in_memory())
      changed.wait(lock);
    else
      changed.wait_for(lock, std::chrono::milliseconds(1));
  }
}

struct Operation {
  uint64_t number = 0;
  const uint8_t* from = nullptr;
  uint8_t* to = nullptr;
  size_t bytes = 0;
  int root = -1;  // -1: an all-gather
  void* stream = nullptr;

  void* gate = nullptr;     // what the stream waits at, where it is one of a simulated device
  bool is_reached = false;  // the stream is there
  bool is_aborted = false;
  Bytes own, result;

  Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  ~Operation() {
    if (gate != nullptr) streams->free_gate(gate);
  }
  void take() { own.assign(from, from + bytes); }
  void deliver() {
    if (!is_aborted) std::copy(result.begin(), result.end(), to);
    --under_way[stream];
  }
};
using Shared = std::shared_ptr<Operation>;

/// Runs `step` of the operation when the stream is there. Whether it could be enqueued.
bool enqueue(const Shared& operation, void (*step)(Operation&)) {
  struct Task {
    Shared operation;
    void (*step)(Operation&);
  };
  const auto run = [](void* context) {
    const std::unique_ptr<Task> task(static_cast<Task*>(context));
    const std::lock_guard lock(mutex);
    task->step(*task->operation);
    changed.notify_all();
  };
  auto task = std::make_unique<Task>(Task{operation, step});
  if (streams->enqueue(operation->stream, run, task.get()) != 0) return false;
  static_cast<void>(task.release());
  return true;
}

struct Communicator {
  int rank = 0, ranks = 0;
  std::shared_ptr<FakeMeeting> meeting;
  FakeNcclFaults faults;
  std::deque<Shared> queue;
  uint64_t begun = 0;
  unsigned looks = 0;  // at its state since the last call
  bool ends = false;
  std::mt19937_64 random;
  std::thread worker;

  bool is_missing(uint64_t number) const {
    return rank == faults.missing_rank && number >= faults.missing_at;
  }
  const Bytes* brought(uint64_t number, int by) const {
    return meeting->find(std::to_string(number) + "-" + std::to_string(by));
  }
  /// To the making, which is number 0.
  bool are_all_here() const {
    for (int each = 0; each < ranks; ++each)
      if (brought(0, each) == nullptr) return false;
    return true;
  }
  void bring(uint64_t number, Bytes bytes) const {
    if (!is_missing(number))
      meeting->bring(std::to_string(number) + "-" + std::to_string(rank), std::move(bytes));
    changed.notify_all();
  }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      wait_until(lock, [&] { return ends || !queue.empty(); });
      if (ends) return;
      const Shared operation = queue.front();
      wait_until(lock, [&] { return ends || operation->is_reached; });
      if (ends) return;
      if (faults.delay_us != 0)
        changed.wait_for(lock, std::chrono::microseconds(random() % faults.delay_us));
      if (streams == nullptr) operation->take();
      if (operation->root < 0 || operation->root == rank)
        bring(operation->number, std::move(operation->own));
      wait_until(lock, [&] { return ends || is_over(*operation); });
      if (ends) return;
      operation->result = result_of(*operation);
      queue.pop_front();
      if (streams == nullptr) {
        operation->deliver();
        continue;
      }
      lock.unlock();
      streams->open_gate(operation->gate);
      lock.lock();
    }
  }

  bool is_over(const Operation& operation) const {
    if (is_missing(operation.number)) return false;
    if (operation.root >= 0) return brought(operation.number, operation.root) != nullptr;
    for (int each = 0; each < ranks; ++each)
      if (brought(operation.number, each) == nullptr) return false;
    return true;
  }

  Bytes result_of(const Operation& operation) const {
    if (operation.root >= 0) return *brought(operation.number, operation.root);
    Bytes all;
    for (int each = 0; each < ranks; ++each) {
      const Bytes& part = *brought(operation.number, each);
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }
};

int begin(void* handle, const void* from, void* to, size_t bytes, int root, void* stream) {
  auto* communicator = static_cast<Communicator*>(handle);
  const auto operation = std::make_shared<Operation>();
  operation->from = static_cast<const uint8_t*>(from);
  operation->to = static_cast<uint8_t*>(to);
  operation->bytes = bytes;
  operation->root = root;
  operation->stream = stream;
  if (streams != nullptr) {
    operation->gate = streams->make_gate(stream);
    if (operation->gate == nullptr) return 4;
  } else {
    operation->is_reached = true;
  }
  {
    const std::lock_guard lock(mutex);
    communicator->looks = 0;
    operation->number = ++communicator->begun;
    communicator->queue.push_back(operation);
    ++under_way[stream];
    if (root >= 0) ++counts.broadcasts;
    if (root >= 0) counts.broadcast_bytes += bytes;
    changed.notify_all();
  }
  if (streams != nullptr) {
    const bool is_begun = enqueue(operation, [](Operation& reached) {
      if (!reached.is_aborted) reached.take();
      reached.is_reached = true;
    });
    streams->wait_for_gate(stream, operation->gate);
    if (!is_begun || !enqueue(operation, [](Operation& over) { over.deliver(); })) return 1;
  }
  return communicator->faults.is_in_progress ? kNcclInProgress : kNcclSuccess;
}

int end(void* handle) {
  auto* communicator = static_cast<Communicator*>(handle);
  {
    const std::lock_guard lock(mutex);
    communicator->ends = true;
    for (const Shared& operation : communicator->queue) {
      operation->is_aborted = true;
      if (streams == nullptr) operation->deliver();
    }
    changed.notify_all();
  }
  communicator->worker.join();
  if (streams != nullptr)
    for (const Shared& operation : communicator->queue) streams->open_gate(operation->gate);
  delete communicator;
  return kNcclSuccess;
}

}  // namespace

extern "C" {

int ncclGetVersion(int* version) {
  const std::lock_guard lock(mutex);
  *version = faults_now.version;
  return kNcclSuccess;
}

int ncclGetUniqueId(NcclId* id) {
  const std::lock_guard lock(mutex);
  *id = FakeMeeting::new_id();
  ++counts.ids;
  return kNcclSuccess;
}

int ncclCommInitRankConfig(void** made, int ranks, NcclId id, int rank, NcclConfig* config) {
  if (config->magic != 0xcafebeef || config->size < 20) return 4;
  const std::lock_guard lock(mutex);
  auto made_one = std::make_unique<Communicator>();
  Communicator* const communicator = made_one.get();
  communicator->rank = rank;
  communicator->ranks = ranks;
  communicator->meeting = FakeMeeting::of(id);
  communicator->faults = faults_now;
  communicator->random.seed(std::hash<std::string_view>()(id.bytes.data()) +
                            static_cast<uint64_t>(rank));
  communicator->bring(0, {});
  if (rank == faults_now.unable_rank) return 3;
  static_cast<void>(made_one.release());
  communicator->worker = std::thread([communicator] { communicator->work(); });
  ++counts.made;
  *made = communicator;
  return config->blocking == 0 ? kNcclInProgress : kNcclSuccess;
}

int ncclCommGetAsyncError(void* handle, int* state) {
  auto* communicator = static_cast<Communicator*>(handle);
  const std::lock_guard lock(mutex);
  const bool is_early = communicator->faults.is_in_progress && ++communicator->looks < 5;
  const bool fails =
      communicator->rank == communicator->faults.failing_rank && communicator->begun > 0;
  *state = fails                                       ? communicator->faults.error
           : is_early || !communicator->are_all_here() ? kNcclInProgress
                                                       : kNcclSuccess;
  return kNcclSuccess;
}

int ncclCommAbort(void* handle) {
  {
    const std::lock_guard lock(mutex);
    ++counts.aborted;
  }
  return end(handle);
}

int ncclCommDestroy(void* handle) {
  {
    const std::lock_guard lock(mutex);
    ++counts.destroyed;
  }
  return end(handle);
}

int ncclCommCount(void* handle, int* count) {
  *count = static_cast<Communicator*>(handle)->ranks;
  return kNcclSuccess;
}

int ncclCommUserRank(void* handle, int* rank) {
  *rank = static_cast<Communicator*>(handle)->rank;
  return kNcclSuccess;
}

int ncclAllGather(const void* own, void* all, size_t count, int type, void* handle, void* stream) {
  if (type != cairn::gpu::kNcclUint8) return 4;
  return begin(handle, own, all, count, -1, stream);
}

int ncclBroadcast(const void* from, void* to, size_t count, int type, int root, void* handle,
                  void* stream) {
  if (type != cairn::gpu::kNcclUint8) return 4;
  return begin(handle, from, to, count, root, stream);
}

const char* ncclGetErrorString(int result) {
  return result == 6 ? "remote process exited or there was a network error" : "internal error";
}

const char* ncclGetLastError(void*) { return "socket closed"; }

void fake_nccl_set(const FakeNcclFaults* faults) {
  const std::lock_guard lock(mutex);
  faults_now = *faults;
  counts = {};
}

void fake_nccl_use_streams(const CairnSimulatedStreams* given) {
  const std::lock_guard lock(mutex);
  streams = given;
}

bool fake_nccl_is_done(void* stream) {
  const std::lock_guard lock(mutex);
  return under_way[stream] == 0;
}

FakeNcclCounts fake_nccl_counts() {
  const std::lock_guard lock(mutex);
  return counts;
}
}
