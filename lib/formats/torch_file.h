// Files of torch.save, the zip archives of today and the streams of PyTorch 1.5 and before: the
// object as a graph, and the storages that its tensors lie in, where they lie.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/formats/pickle.h"
#include "lib/tensor.h"

namespace cairn {

struct TorchFile {
  PickleGraph graph;
  PickleId root = kNoPickle;
  std::map<std::string, ByteSpan> storages;  ///< by key; of the legacy form also views of them
};

/// Whether the bytes begin like such a file. What does may be something else yet.
bool looks_like_torch(ByteSpan file);

/// Reads no tensor byte. Which names the pickle holds is not looked at. Errors: kUsage for what is
/// no whole file of torch.save: also TorchScript programs, big-endian ones, and tar archives.
Result<TorchFile> parse_torch_file(ByteSpan file, const std::string& path);

/// A tensor where it lies in the file.
struct TorchTensor {
  Dtype dtype = Dtype::kU8;
  Shape shape;
  std::vector<int64_t> strides_bytes;
  const uint8_t* data = nullptr;
  std::string storage;
  bool requires_grad = false;

  /// What tells two views of one storage apart.
  bool is_same_view(const TorchTensor& other) const {
    return data == other.data && storage == other.storage && dtype == other.dtype &&
           shape == other.shape && strides_bytes == other.strides_bytes;
  }
};

/// Whether the node is one of PyTorch's own ways to write a tensor.
bool is_tensor_node(const PickleGraph& graph, PickleId id);

/// A tensor, or one of a parameter or with attributes, of which this is the tensor inside; nullopt
/// for other nodes. Errors, naming it `name`: kUsage for one that lies outside its storage, and for
/// what Cairn does not store: sparse, quantized, of a class of its own, on the meta device,
/// conjugated, complex128.
Result<std::optional<TorchTensor>> tensor_at(const TorchFile& file, PickleId id,
                                             const std::string& name);

/// The node of the tensor itself, in a parameter's.
PickleId inner_tensor(const PickleGraph& graph, PickleId id);

}  // namespace cairn
