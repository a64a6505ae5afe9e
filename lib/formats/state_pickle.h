// A state as the object that a pickle makes, its tensors by name.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "lib/formats/state.h"

namespace cairn {

/// Stands for a tensor: the persistent id ("tensor", name, requires_grad).
PickleId tensor_name_node(PickleGraph& graph, const std::string& name, bool requires_grad);

struct TensorName {
  std::string name;
  bool requires_grad = false;
};
/// What tensor_name_node() made; nullopt for other nodes.
std::optional<TensorName> tensor_name_at(const PickleGraph& graph, PickleId id);

/// The objects of `cairn_objects.pickle` by name, as nodes that are added to `graph`; empty bytes
/// hold none. Errors: kCorrupt.
Result<std::map<std::string, PickleId>> read_objects(PickleGraph& graph, ByteSpan objects);

/// The node of a leaf that is an object or bytes.
using OtherLeaf = std::function<Result<PickleId>(const StateNode&)>;
/// Errors: `other`'s, and kCorrupt for values that are none.
Result<PickleId> pickle_of_state(PickleGraph& graph, const StateNode& node, const OtherLeaf& other);

/// Finds leaves among `objects`. Errors: kCorrupt for one that is not there.
OtherLeaf among(const std::map<std::string, PickleId>& objects);

}  // namespace cairn
