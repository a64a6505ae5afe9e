// What a file of torch.save holds, as a state: names for its tensors, and a tree of the rest.
#pragma once

#include <string>
#include <vector>

#include "lib/formats/state.h"
#include "lib/formats/torch_file.h"

namespace cairn {

struct NamedTensor {
  std::string name;
  TorchTensor tensor;
};

struct TakenState {
  StateNode root;                    ///< always a dict: another object is under the key "state"
  std::vector<NamedTensor> tensors;  ///< once where several names share one view
  /// The object without its storages: a pickle whose tensors are ("tensor", name, ...); empty
  /// where it follows from `root`.
  Bytes torch;
  Bytes objects;  ///< a pickle of a dict of those leaves that are objects; empty without
};

/// Errors: kUsage naming the key: for names that meet, tensors that Cairn does not store, and
/// objects that hold tensors.
Result<TakenState> take_state(const TorchFile& file, const std::string& path);

/// A value by itself, of which `key` is the name: nullopt when it holds tensors or objects, or
/// more than the structure tells.
std::optional<StateNode> take_value(const TorchFile& file, const std::string& key);

}  // namespace cairn
