// What a file of torch.save holds, as a state: names for its tensors, and a tree of the rest.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "lib/formats/state_pickle.h"
#include "lib/formats/torch_file.h"

namespace cairn {

struct NamedTensor {
  std::string name;
  TorchTensor tensor;
};

struct TakenState {
  StateNode root;                    ///< always a dict: another object is under the key "state"
  std::vector<NamedTensor> tensors;  ///< once where several names share one view
  Bytes objects;  ///< a pickle of a dict of those leaves that are objects; empty without
  std::unordered_map<PickleId, TensorName> names;  ///< of nodes of the file that are tensors
};

/// Errors: kUsage naming the key: for names that meet, tensors that Cairn does not store, and
/// objects that hold tensors.
Result<TakenState> take_state(const TorchFile& file, const std::string& path);

/// The file's object without its storages: a pickle whose tensors are ("tensor", name, ...). Empty
/// where it follows from `taken`. Errors: kUsage for what no pickle can be made of.
Result<Bytes> what_structure_leaves_out(const TorchFile& file, const TakenState& taken);

/// A value by itself, of which `key` is the name: nullopt when it holds tensors or objects, or
/// more than the structure tells.
std::optional<StateNode> take_value(const TorchFile& file, const std::string& key);

}  // namespace cairn
