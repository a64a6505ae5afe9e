// A nested state as a tag keeps it beside its tensors (docs/PYTHON.md, "What becomes of a state";
// python/cairn/_tree.py has the same rules): names are keys joined with '.', the attachment
// `cairn_structure.json` says which containers there are and what each leaf is, `cairn_values.json`
// holds the leaves that JSON can hold, `cairn_objects.pickle` the others.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "lib/formats/pickle.h"

namespace cairn {

inline constexpr std::string_view kStructureName = "cairn_structure.json";
inline constexpr std::string_view kValuesName = "cairn_values.json";
inline constexpr std::string_view kObjectsName = "cairn_objects.pickle";
/// And a key: what torch.distributed.checkpoint's planner made of an object, a file of torch.save.
inline constexpr std::string_view kBytesPrefix = "cairn_bytes/";
/// The object of a file of torch.save where the structure does not tell all of it: a pickle whose
/// tensors are persistent ids ("tensor", name, whether it requires a gradient).
inline constexpr std::string_view kTorchName = "cairn_torch.pickle";
/// What DCP's planner said beyond the structure (python/cairn/torch/_metadata.py).
inline constexpr std::string_view kDcpName = "cairn_dcp.json";

/// What the index of a Hugging Face folder said beside the names and the total size: a JSON object.
inline constexpr std::string_view kIndexMetadataName = "cairn_index.json";

/// Whether the attachment is one of these: no file that lay beside the tensors.
bool is_state_attachment(std::string_view name);

/// A key of a dict: text, or an integer.
using StateKey = nlohmann::json;

struct StateNode {
  enum class Kind : uint8_t {
    kDict,
    kList,
    kTuple,
    kTensor,
    kArray,
    kTied,
    kValue,
    kObject,
    kBytes
  };
  Kind kind = Kind::kDict;
  std::string name = {};                                      ///< all keys on the way to it
  std::vector<std::pair<StateKey, StateNode>> children = {};  ///< of containers; lists count
  std::string tied = {};                                      ///< kTied: to this name
  nlohmann::json value = {};    ///< kValue; no JSON: {"float": "nan"}, {"bytes": base64}
  PickleId object = kNoPickle;  ///< kObject, in the graph that it was found in

  bool is_container() const { return kind <= Kind::kTuple; }
};

/// "a.b"
std::string name_below(const std::string& name, const StateKey& key);
/// Whether it is a dict of text to tensors, which is what a tag without structure is.
bool is_flat(const StateNode& root);
/// The state of names without a structure.
StateNode flat_state(const std::vector<std::string>& names);

/// Calls visit(leaf) in order.
template <class Visit>
void each_leaf(const StateNode& node, const Visit& visit) {
  if (!node.is_container()) return visit(node);
  for (const auto& [key, child] : node.children) each_leaf(child, visit);
}

/// The two attachments, as Python writes them, but for numbers from 1e15 to 1e16.
std::string structure_text(const StateNode& root);
std::string values_text(const StateNode& root);
/// Errors: kCorrupt for what is no structure, is nested too deeply, or lacks a value.
Result<StateNode> parse_state(ByteSpan structure, ByteSpan values);

/// What JSON holds of a pickle's node: nullopt for sets, complex numbers, calls, containers, ...
std::optional<nlohmann::json> value_of_pickle(const PickleGraph& graph, PickleId id);
/// Errors: kCorrupt.
Result<PickleId> pickle_of_value(PickleGraph& graph, const nlohmann::json& value);

}  // namespace cairn
