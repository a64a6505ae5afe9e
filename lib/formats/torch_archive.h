// A file of torch.save that is going to be written: an object whose tensors are named, and the
// storages that take their places.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lib/formats/pickle.h"
#include "lib/formats/zip_layout.h"
#include "lib/tensor.h"

namespace cairn {

struct ArchiveTensor {
  Dtype dtype = Dtype::kU8;
  Shape shape;
};

/// Row-major, each in a storage of its own; names of one tensor share it.
class TorchArchive {
 public:
  /// `tensors`: by the names that `root` has (lib/formats/state_pickle.h). Errors: kUsage for a
  /// dtype that PyTorch has not; kCorrupt for a name that is not there.
  static Result<TorchArchive> plan(PickleGraph graph, PickleId root,
                                   const std::map<std::string, ArchiveTensor>& tensors);

  /// Those that the object holds, in the order of their storages: empty ones first.
  const std::vector<std::string>& tensors() const { return tensors_; }
  /// Where the bytes of such a tensor belong.
  uint64_t data_at(size_t tensor) const { return layout_.data_at(storage_entry(tensor)); }
  uint64_t total_bytes() const { return layout_.total_bytes(); }

  /// Gets bytes and where they belong.
  using Write = std::function<Status(uint64_t at, ByteSpan bytes)>;
  /// Writes what lies around the tensors' bytes, as these come: each tensor's in order, and from
  /// front to back all of the archive is when the tensors come in order. Threads: one.
  class Writer {
   public:
    Writer(const TorchArchive& archive, Write write);
    /// What precedes the first tensor that is not empty; nobody adds empty ones.
    Status begin();
    Status add(uint64_t at, ByteSpan bytes);
    /// After the last byte.
    Status end();

   private:
    Status put(uint64_t at, ByteSpan bytes) { return write_(at, bytes); }
    Status put_entry(size_t number, ByteSpan bytes);
    size_t entry_of(uint64_t at) const;

    const TorchArchive& archive_;
    const Write write_;
    std::vector<uint32_t> checksums_;
    std::vector<uint64_t> done_;  // of each entry
  };

 private:
  size_t storage_entry(size_t tensor) const { return kBefore + tensor; }
  /// Entries before the storages: the pickle, two versions, the byte order.
  static constexpr size_t kBefore = 4;

  ZipLayout layout_;
  Bytes pickle_;
  std::string id_;
  std::vector<std::string> tensors_;
};

}  // namespace cairn
