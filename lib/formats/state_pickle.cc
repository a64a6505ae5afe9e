#include "lib/formats/state_pickle.h"

#include <fmt/format.h>

namespace cairn {

using Kind = PickleNode::Kind;

PickleId tensor_name_node(PickleGraph& graph, const std::string& name, bool requires_grad) {
  return graph.persistent(
      graph.tuple({graph.text("tensor"), graph.text(name), graph.boolean(requires_grad)}));
}

std::optional<TensorName> tensor_name_at(const PickleGraph& graph, PickleId id) {
  const PickleNode& node = graph.at(id);
  if (node.kind != Kind::kPersistent) return std::nullopt;
  const std::vector<PickleId>& parts = graph.at(node.items.front()).items;
  if (parts.size() != 3 || graph.at(parts[0]).text != "tensor") return std::nullopt;
  return TensorName{graph.at(parts[1]).text, graph.at(parts[2]).integer != 0};
}

Result<std::map<std::string, PickleId>> read_objects(PickleGraph& graph, ByteSpan objects) {
  std::map<std::string, PickleId> found;
  if (objects.empty()) return found;
  const auto read = read_pickle(objects, graph);
  if (!read)
    return fail(Code::kCorrupt, fmt::format("the objects of the state: {}", read.error().message));
  const std::vector<PickleId>& pairs = graph.at(read->root).pairs;
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    found.emplace(graph.at(pairs[i]).text, pairs[i + 1]);
  }
  return found;
}

OtherLeaf among(const std::map<std::string, PickleId>& objects) {
  return [&objects](const StateNode& leaf) -> Result<PickleId> {
    const auto found = objects.find(leaf.name);
    if (found != objects.end()) return found->second;
    return fail(Code::kCorrupt, fmt::format("the object '{}' of the state is missing", leaf.name));
  };
}

namespace {

class Builder {
 public:
  Builder(PickleGraph& graph, const OtherLeaf& other) : graph_(graph), other_(other) {}

  Result<PickleId> build(const StateNode& node) {
    switch (node.kind) {
      case StateNode::Kind::kDict:
        return build_dict(node);
      case StateNode::Kind::kList:
      case StateNode::Kind::kTuple:
        return build_items(node);
      case StateNode::Kind::kTensor:
      case StateNode::Kind::kArray:
        return tensor(node.name);
      case StateNode::Kind::kTied:
        return tensor(node.tied);
      case StateNode::Kind::kValue:
        return pickle_of_value(graph_, node.value);
      case StateNode::Kind::kObject:
      case StateNode::Kind::kBytes:
        return other_(node);
    }
    return kNoPickle;
  }

 private:
  Result<PickleId> build_dict(const StateNode& node) {
    std::vector<PickleId> pairs;
    for (const auto& [key, child] : node.children) {
      CAIRN_TRY(const PickleId key_node, pickle_of_value(graph_, key));
      CAIRN_TRY(const PickleId value, build(child));
      pairs.push_back(key_node);
      pairs.push_back(value);
    }
    return graph_.dict(std::move(pairs));
  }

  Result<PickleId> build_items(const StateNode& node) {
    std::vector<PickleId> items;
    for (const auto& [key, child] : node.children) {
      CAIRN_TRY(const PickleId item, build(child));
      items.push_back(item);
    }
    const bool is_list = node.kind == StateNode::Kind::kList;
    return is_list ? graph_.list(std::move(items)) : graph_.tuple(std::move(items));
  }

  /// Names of one tensor are one object.
  PickleId tensor(const std::string& name) {
    const auto [at, fresh] = tensors_.try_emplace(name, kNoPickle);
    if (fresh) at->second = tensor_name_node(graph_, name, false);
    return at->second;
  }

  PickleGraph& graph_;
  const OtherLeaf& other_;
  std::map<std::string, PickleId> tensors_;
};

}  // namespace

Result<PickleId> pickle_of_state(PickleGraph& graph, const StateNode& node,
                                 const OtherLeaf& other) {
  return Builder(graph, other).build(node);
}

}  // namespace cairn
