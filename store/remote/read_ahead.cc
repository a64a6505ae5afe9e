#include "store/remote/read_ahead.h"

#include <algorithm>
#include <cstring>

namespace cairn::remote {

std::shared_ptr<ReadAhead::Block> ReadAhead::block(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto [at, fresh] = blocks_.try_emplace(number);
  if (!fresh) return at->second;
  auto block = at->second = std::make_shared<Block>();
  kept_.push_back(number);
  if (kept_.size() > kBlocksMax) {
    blocks_.erase(kept_.front());
    kept_.pop_front();
  }
  return block;
}

Result<std::shared_ptr<const Bytes>> ReadAhead::bytes_of(uint64_t number) {
  const auto held = block(number);
  const std::lock_guard lock(held->mutex);
  if (held->bytes != nullptr) return held->bytes;
  Bytes bytes(kBlockBytes);
  CAIRN_TRY(const size_t count, fetch_(number * kBlockBytes, bytes));
  bytes.resize(count);
  held->bytes = std::make_shared<const Bytes>(std::move(bytes));
  return held->bytes;
}

Result<size_t> ReadAhead::read(uint64_t offset, MutableBytes out) {
  if (out.size() >= kBlockBytes) return fetch_(offset, out);
  size_t done = 0;
  while (done < out.size()) {
    const uint64_t at = offset + done;
    CAIRN_TRY(const auto bytes, bytes_of(at / kBlockBytes));
    const uint64_t within = at % kBlockBytes;
    if (within >= bytes->size()) break;
    const size_t count = std::min<size_t>(out.size() - done, bytes->size() - within);
    std::memcpy(out.data() + done, bytes->data() + within, count);
    done += count;
    if (bytes->size() < kBlockBytes) break;  // the file ends here
  }
  return done;
}

}  // namespace cairn::remote
