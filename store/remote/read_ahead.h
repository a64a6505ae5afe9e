// The objects of a metadata pack lie close to each other and are read one at a time: some blocks of
// the file are kept, so that each costs the network one wait.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "base/bytes.h"
#include "base/error.h"

namespace cairn::remote {

/// Threads: any; a block that several want at once is fetched once.
class ReadAhead {
 public:
  static constexpr uint64_t kBlockBytes = 512 * kKiB;
  static constexpr size_t kBlocksMax = 4;

  /// Fills the memory from an offset of the file, as far as that goes.
  using Fetch = std::function<Result<size_t>(uint64_t offset, MutableBytes out)>;

  explicit ReadAhead(Fetch fetch) : fetch_(std::move(fetch)) {}

  /// As File::read_at. Errors: those of `fetch`.
  Result<size_t> read(uint64_t offset, MutableBytes out);

 private:
  struct Block {
    std::mutex mutex;
    std::shared_ptr<const Bytes> bytes;  // null until fetched
  };
  std::shared_ptr<Block> block(uint64_t number);
  Result<std::shared_ptr<const Bytes>> bytes_of(uint64_t number);

  const Fetch fetch_;
  std::mutex mutex_;  // of the two below
  std::map<uint64_t, std::shared_ptr<Block>> blocks_;
  std::deque<uint64_t> kept_;  // in the order of fetching
};

}  // namespace cairn::remote
