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
#include <set>
#include <thread>
#include <vector>

#include "gpu/nccl/nccl_library.h"

namespace {

using cairn::gpu::kNcclInProgress;
using cairn::gpu::kNcclSuccess;
using cairn::gpu::NcclConfig;
using cairn::gpu::NcclId;

/// Ranks of one id, and what they brought to their operations.
struct Meeting {
  int ranks = 0;
  std::set<int> here;
  std::map<uint64_t, std::map<int, std::vector<uint8_t>>> brought;
};

struct Operation {
  uint64_t number;
  const uint8_t* from;
  uint8_t* to;
  size_t bytes;
  int root;  // -1: an all-gather
  void* stream;
};

std::mutex mutex;  // guards all of this library
std::condition_variable changed;
FakeNcclFaults faults_now;
FakeNcclCounts counts;
std::map<uint64_t, std::shared_ptr<Meeting>> meetings;
std::map<void*, int> under_way;  // by stream
uint64_t ids = 0;

struct Communicator {
  int rank = 0;
  std::shared_ptr<Meeting> meeting;
  FakeNcclFaults faults;
  std::deque<Operation> queue;
  uint64_t begun = 0;
  unsigned looks = 0;  // at its state since the last call
  bool ends = false;
  std::mt19937_64 random;
  std::thread worker;

  bool is_missing(uint64_t number) const {
    return rank == faults.missing_rank && number >= faults.missing_at;
  }
  bool are_all_here() const { return static_cast<int>(meeting->here.size()) == meeting->ranks; }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return ends || !queue.empty(); });
      if (ends) return;
      const Operation operation = queue.front();
      if (faults.delay_us != 0)
        changed.wait_for(lock, std::chrono::microseconds(random() % faults.delay_us));
      auto& brought = meeting->brought[operation.number];
      if (!is_missing(operation.number))
        brought[rank].assign(operation.from, operation.from + operation.bytes);
      changed.notify_all();
      changed.wait(lock, [&] { return ends || is_over(operation, brought); });
      if (ends) return;
      finish(operation, brought);
      queue.pop_front();
      --under_way[operation.stream];
    }
  }

  bool is_over(const Operation& operation, const std::map<int, std::vector<uint8_t>>& brought) {
    if (is_missing(operation.number)) return false;
    if (operation.root >= 0) return brought.count(operation.root) != 0;
    return static_cast<int>(brought.size()) == meeting->ranks;
  }

  void finish(const Operation& operation, const std::map<int, std::vector<uint8_t>>& brought) {
    for (const auto& [from, bytes] : brought) {
      if (operation.root >= 0 && from != operation.root) continue;
      const size_t at = operation.root >= 0 ? 0 : static_cast<size_t>(from) * operation.bytes;
      std::memcpy(operation.to + at, bytes.data(), std::min(bytes.size(), operation.bytes));
    }
  }
};

int begin(void* handle, Operation operation) {
  auto* communicator = static_cast<Communicator*>(handle);
  const std::lock_guard lock(mutex);
  communicator->looks = 0;
  operation.number = ++communicator->begun;
  communicator->queue.push_back(operation);
  ++under_way[operation.stream];
  changed.notify_all();
  return communicator->faults.is_in_progress ? kNcclInProgress : kNcclSuccess;
}

int end(void* handle) {
  auto* communicator = static_cast<Communicator*>(handle);
  {
    const std::lock_guard lock(mutex);
    communicator->ends = true;
    for (const Operation& operation : communicator->queue) --under_way[operation.stream];
    changed.notify_all();
  }
  communicator->worker.join();
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
  ++ids;
  std::memcpy(id->bytes.data(), &ids, sizeof ids);
  return kNcclSuccess;
}

int ncclCommInitRankConfig(void** made, int ranks, NcclId id, int rank, NcclConfig* config) {
  if (config->magic != 0xcafebeef || config->size < 20) return 4;
  uint64_t number = 0;
  std::memcpy(&number, id.bytes.data(), sizeof number);
  auto* communicator = new Communicator;
  const std::lock_guard lock(mutex);
  std::shared_ptr<Meeting>& meeting = meetings[number];
  if (meeting == nullptr) meeting = std::make_shared<Meeting>();
  meeting->ranks = ranks;
  communicator->rank = rank;
  communicator->meeting = meeting;
  communicator->faults = faults_now;
  communicator->random.seed(number * 100 + static_cast<uint64_t>(rank));
  if (!communicator->is_missing(0)) meeting->here.insert(rank);
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
  *count = static_cast<Communicator*>(handle)->meeting->ranks;
  return kNcclSuccess;
}

int ncclCommUserRank(void* handle, int* rank) {
  *rank = static_cast<Communicator*>(handle)->rank;
  return kNcclSuccess;
}

int ncclAllGather(const void* own, void* all, size_t count, int type, void* handle, void* stream) {
  if (type != cairn::gpu::kNcclUint8) return 4;
  return begin(
      handle, {0, static_cast<const uint8_t*>(own), static_cast<uint8_t*>(all), count, -1, stream});
}

int ncclBroadcast(const void* from, void* to, size_t count, int type, int root, void* handle,
                  void* stream) {
  if (type != cairn::gpu::kNcclUint8) return 4;
  return begin(handle, {0, static_cast<const uint8_t*>(from), static_cast<uint8_t*>(to), count,
                        root, stream});
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

bool fake_nccl_is_done(void* stream) {
  const std::lock_guard lock(mutex);
  return under_way[stream] == 0;
}

FakeNcclCounts fake_nccl_counts() {
  const std::lock_guard lock(mutex);
  return counts;
}
}
