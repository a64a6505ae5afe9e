#include "base/buffer_pool.h"

#include <mutex>
#include <utility>
#include <vector>

namespace cairn {

struct BufferPool::State {
  explicit State(uint64_t each) : bytes(each) {}

  const uint64_t bytes;
  std::mutex mutex;  // of all below
  size_t users = 0, made = 0;
  std::vector<AlignedBuffer> spare;  // has room for all that were made
};

struct BufferPool::Loan {
  Loan(std::shared_ptr<State> from, AlignedBuffer taken)
      : state(std::move(from)), buffer(std::move(taken)) {}
  ~Loan() {
    const std::lock_guard lock(state->mutex);
    if (state->users > 0) {
      state->spare.push_back(std::move(buffer));
    } else {
      --state->made;
    }
  }
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;

  const std::shared_ptr<State> state;
  AlignedBuffer buffer;
};

BufferPool::BufferPool(uint64_t bytes) : state_(std::make_shared<State>(bytes)) {}

BufferPool::User::User(const BufferPool& pool) : state_(pool.state_) {
  const std::lock_guard lock(state_->mutex);
  ++state_->users;
}

BufferPool::User::~User() {
  const std::lock_guard lock(state_->mutex);
  if (--state_->users > 0) return;
  state_->made -= state_->spare.size();
  state_->spare.clear();
}

std::shared_ptr<AlignedBuffer> BufferPool::User::take() {
  AlignedBuffer taken;
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->spare.empty()) {
      taken = std::move(state_->spare.back());
      state_->spare.pop_back();
    } else {
      state_->spare.reserve(state_->made + 1);
      ++state_->made;
    }
  }
  if (taken.size() == 0) taken = AlignedBuffer(state_->bytes);
  const auto loan = std::make_shared<Loan>(state_, std::move(taken));
  return {loan, &loan->buffer};
}

}  // namespace cairn
