#include "lib/formats/saved_state.h"

#include <set>

#include "lib/formats/state_pickle.h"

namespace cairn {

using Kind = StateNode::Kind;

Result<Bytes> load_attachment(Checkpoint& checkpoint, std::string_view name) {
  Bytes bytes;
  for (const AttachmentInfo& attachment : checkpoint.manifest().attachments) {
    if (attachment.name != name) continue;
    CAIRN_CHECK(read_attachment(checkpoint, name, [&](ByteSpan part) -> Status {
      append_bytes(bytes, part);
      return {};
    }));
  }
  return bytes;
}

static Result<StateNode> load_root(Checkpoint& checkpoint) {
  CAIRN_TRY(const Bytes structure, load_attachment(checkpoint, kStructureName));
  if (!structure.empty()) {
    CAIRN_TRY(const Bytes values, load_attachment(checkpoint, kValuesName));
    return parse_state(structure, values);
  }
  std::vector<std::string> names;
  for (const TensorInfo& tensor : checkpoint.schema().tensors) names.push_back(tensor.name);
  return flat_state(names);
}

/// Leaves out tensors that are not there, and, where only some are wanted, all that is no tensor.
/// False: nothing is left.
static bool prune(StateNode& node, const std::set<std::string>& there, bool only_tensors) {
  if (node.kind == Kind::kTensor || node.kind == Kind::kArray) return there.contains(node.name);
  if (node.kind == Kind::kTied) return there.contains(node.tied);
  if (!node.is_container()) return !only_tensors;
  const bool was_empty = node.children.empty();
  std::erase_if(node.children,
                [&](auto& child) { return !prune(child.second, there, only_tensors); });
  return !node.children.empty() || (was_empty && !only_tensors);
}

/// Tensors that the structure does not tell of are at its top.
static void add_untold(StateNode& root, const std::vector<ExportedTensor>& tensors) {
  std::set<std::string> told;
  each_leaf(root, [&](const StateNode& leaf) { told.insert(leaf.name); });
  for (const ExportedTensor& tensor : tensors) {
    if (told.contains(tensor.stored)) continue;
    root.children.emplace_back(tensor.name,
                               StateNode{.kind = Kind::kTensor, .name = tensor.stored});
  }
}

/// Whether all tensors that the pickle names are exported.
static bool holds(ByteSpan torch, const std::set<std::string>& there) {
  PickleGraph graph;
  if (!read_pickle(torch, graph)) return false;
  for (PickleId id = 0; id < graph.size(); ++id) {
    const auto named = tensor_name_at(graph, id);
    if (named && !there.contains(named->name)) return false;
  }
  return true;
}

static bool has_values(const StateNode& root) {
  bool found = false;
  each_leaf(root, [&](const StateNode& leaf) {
    found |= leaf.kind != Kind::kTensor && leaf.kind != Kind::kArray && leaf.kind != Kind::kTied;
  });
  return found;
}

Result<bool> holds_values(Checkpoint& checkpoint) {
  CAIRN_TRY(const StateNode root, load_root(checkpoint));
  return has_values(root);
}

void warn_of_what_stays(bool has_more, ExportResult& result) {
  if (!has_more) return;
  result.warnings.push_back("only tensors are written, no other values of the state");
}

Result<SavedState> load_state(Checkpoint& checkpoint, const ExportRequest& request,
                              const std::vector<ExportedTensor>& tensors) {
  SavedState state;
  std::set<std::string> there;
  for (const ExportedTensor& tensor : tensors) there.insert(tensor.stored);
  const bool is_choice = tensors.size() < checkpoint.schema().tensors.size();
  state.is_whole = !is_choice && request.rename.empty();
  CAIRN_TRY(StateNode root, load_root(checkpoint));
  state.has_more = !state.is_whole && has_values(root);
  if (!request.rename.empty()) {
    add_untold(state.root, tensors);
    return state;
  }
  state.root = std::move(root);
  prune(state.root, there, is_choice);
  if (state.root.kind == Kind::kDict) add_untold(state.root, tensors);
  if (is_choice) return state;
  CAIRN_TRY(state.objects, load_attachment(checkpoint, kObjectsName));
  CAIRN_TRY(state.torch, load_attachment(checkpoint, kTorchName));
  if (!holds(state.torch, there)) state.torch.clear();
  return state;
}

}  // namespace cairn
