#include "lib/formats/state_taker.h"

#include <fmt/format.h>

#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/utf8.h"
#include "lib/formats/state_pickle.h"

namespace cairn {

using Kind = PickleNode::Kind;

/// Names beside one for each node: shared containers have several, and could have exponentially
/// many.
static constexpr size_t kOtherNamesMax = size_t{1} << 16;
static constexpr size_t kNameBytesMax = size_t{1} << 28;

namespace {

class Taker {
 public:
  explicit Taker(const TorchFile& file) : file_(file), graph_(file.graph) {}

  Result<StateNode> take(PickleId id, const std::string& name, unsigned depth) {
    if (depth > kNestingMax) return refuse(name, "is nested too deeply, or holds itself");
    name_bytes_ += name.size();
    if (++taken_ > graph_.size() + kOtherNamesMax || name_bytes_ > kNameBytesMax) {
      return refuse(name, "is one of too many values");
    }
    if (is_tensor_node(graph_, id)) return take_tensor(id, name);
    const PickleNode& node = graph_.at(id);
    const auto pairs = pairs_of(id);
    if (pairs && has_plain_keys(*pairs)) return take_dict(*pairs, name, depth);
    if (node.kind == Kind::kList) return take_items(StateNode::Kind::kList, node, name, depth);
    if (node.kind == Kind::kTuple) return take_items(StateNode::Kind::kTuple, node, name, depth);
    if (graph_.is_call_of(id, "torch.Size") && graph_.args_of(id).size() == 1) {
      return take_items(StateNode::Kind::kTuple, graph_.at(graph_.args_of(id)[0]), name, depth);
    }
    CAIRN_CHECK(claim(name));
    auto value = value_of_pickle(graph_, id);
    if (value) {
      return StateNode{.kind = StateNode::Kind::kValue, .name = name, .value = *std::move(value)};
    }
    if (holds_tensor(id, 0)) {
      const std::string where = name.empty() ? "the state" : fmt::format("'{}'", shown(name));
      if (pairs)
        return fail(Code::kUsage, where + " has a key that is neither text nor an integer");
      return fail(Code::kUsage, where + " holds a tensor in what is no dict, list or tuple",
                  "load it where its classes are, and save a state_dict()");
    }
    objects.emplace_back(name, id);
    return StateNode{.kind = StateNode::Kind::kObject, .name = name, .object = id};
  }

  std::vector<NamedTensor> tensors;
  std::vector<std::pair<std::string, PickleId>> objects;
  std::unordered_map<PickleId, TensorName> names;  ///< of nodes that are tensors

 private:
  static tl::unexpected<Error> refuse(const std::string& name, std::string_view why) {
    return fail(Code::kUsage, fmt::format("'{}' {}", shown(name), why));
  }

  Status claim(const std::string& name) {
    if (!is_utf8(name)) return refuse(name, "is a name that is no UTF-8");
    if (claimed_.insert(name).second) return {};
    return fail(Code::kUsage,
                fmt::format("two values of the state are called '{}' when keys are "
                            "joined with '.'",
                            name),
                "rename one");
  }

  /// Key, value, key, ... of a dict, an OrderedDict or a Counter; nullopt for others.
  std::optional<std::vector<PickleId>> pairs_of(PickleId id) const {
    const PickleNode& node = graph_.at(id);
    if (node.kind == Kind::kDict) return node.pairs;
    const bool is_known = graph_.is_call_of(id, "collections.OrderedDict") ||
                          graph_.is_call_of(id, "collections.Counter");
    if (!is_known || !node.items.empty()) return std::nullopt;
    auto pairs = given_pairs(graph_.args_of(id));
    if (pairs) pairs->insert(pairs->end(), node.pairs.begin(), node.pairs.end());
    return pairs;
  }

  /// What a dict is made of: nothing, a dict, or a list of pairs.
  std::optional<std::vector<PickleId>> given_pairs(const std::vector<PickleId>& args) const {
    if (args.empty()) return std::vector<PickleId>();
    const PickleNode& given = graph_.at(args.front());
    if (given.kind == Kind::kDict) return given.pairs;
    if (args.size() > 1 || given.kind != Kind::kList) return std::nullopt;
    std::vector<PickleId> pairs;
    for (const PickleId item : given.items) {
      const PickleNode& pair = graph_.at(item);
      const bool is_pair =
          (pair.kind == Kind::kList || pair.kind == Kind::kTuple) && pair.items.size() == 2;
      if (!is_pair) return std::nullopt;
      pairs.insert(pairs.end(), pair.items.begin(), pair.items.end());
    }
    return pairs;
  }

  bool has_plain_keys(const std::vector<PickleId>& pairs) const {
    for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
      const Kind kind = graph_.at(pairs[i]).kind;
      if (kind != Kind::kText && kind != Kind::kInt) return false;
    }
    return true;
  }

  Result<StateNode> take_dict(const std::vector<PickleId>& pairs, const std::string& name,
                              unsigned depth) {
    StateNode made{.kind = StateNode::Kind::kDict, .name = name};
    for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
      const PickleNode& key_node = graph_.at(pairs[i]);
      if (!is_utf8(key_node.text)) return refuse(name, "has a key that is no UTF-8");
      const StateKey key =
          key_node.kind == Kind::kText ? StateKey(key_node.text) : StateKey(key_node.integer);
      CAIRN_TRY(StateNode child, take(pairs[i + 1], name_below(name, key), depth + 1));
      made.children.emplace_back(key, std::move(child));
    }
    return made;
  }

  Result<StateNode> take_items(StateNode::Kind kind, const PickleNode& node,
                               const std::string& name, unsigned depth) {
    StateNode made{.kind = kind, .name = name};
    for (size_t i = 0; i < node.items.size(); ++i) {
      CAIRN_TRY(StateNode child, take(node.items[i], name_below(name, i), depth + 1));
      made.children.emplace_back(i, std::move(child));
    }
    return made;
  }

  Result<StateNode> take_tensor(PickleId id, const std::string& name) {
    CAIRN_CHECK(claim(name));
    CAIRN_TRY(auto tensor, tensor_at(file_, id, name));
    const NamedTensor* known = find_view(*tensor);
    if (known != nullptr) {
      note(id, known->name, tensor->requires_grad);
      return StateNode{.kind = StateNode::Kind::kTied, .name = name, .tied = known->name};
    }
    note(id, name, tensor->requires_grad);
    by_address_[tensor->data].push_back(tensors.size());
    tensors.push_back({name, *std::move(tensor)});
    return StateNode{.kind = StateNode::Kind::kTensor, .name = name};
  }

  void note(PickleId id, const std::string& name, bool requires_grad) {
    names.emplace(inner_tensor(graph_, id), TensorName{name, requires_grad});
  }

  /// One that is there already, as a view of the same memory. Empty ones have none.
  const NamedTensor* find_view(const TorchTensor& tensor) const {
    const auto found = by_address_.find(tensor.data);
    if (found == by_address_.end() || whole_box(tensor.shape).is_empty()) return nullptr;
    for (const size_t number : found->second) {
      if (tensors[number].tensor.is_same_view(tensor)) return &tensors[number];
    }
    return nullptr;
  }

  bool holds_tensor(PickleId id, unsigned depth) const {
    if (depth > kNestingMax || is_tensor_node(graph_, id)) return true;
    const PickleNode& node = graph_.at(id);
    if (node.kind == Kind::kPersistent) return true;
    if (!seen_.insert(id).second) return false;
    std::vector<PickleId> parts = node.items;
    parts.insert(parts.end(), node.pairs.begin(), node.pairs.end());
    for (const PickleId part : {node.callable, node.args, node.state}) {
      if (part != kNoPickle) parts.push_back(part);
    }
    for (const PickleId part : parts) {
      if (holds_tensor(part, depth + 1)) return true;
    }
    return false;
  }

  const TorchFile& file_;
  const PickleGraph& graph_;
  size_t taken_ = 0;       // nodes of the state
  size_t name_bytes_ = 0;  // of all their names
  std::unordered_set<std::string> claimed_;
  std::unordered_map<const uint8_t*, std::vector<size_t>> by_address_;
  mutable std::unordered_set<PickleId> seen_;
};

}  // namespace

/// Tensors that no key leads to: attributes of dicts and parameters.
static Status refuse_hidden(const PickleGraph& graph, PickleId root) {
  std::vector<PickleId> way = {root};
  std::unordered_set<PickleId> seen;
  while (!way.empty()) {
    const PickleId id = way.back();
    way.pop_back();
    if (id == kNoPickle || !seen.insert(id).second) continue;
    const PickleNode& node = graph.at(id);
    if (node.kind == Kind::kPersistent && !tensor_name_at(graph, id)) {
      return fail(Code::kUsage, "an attribute of a dict or parameter of the state is a tensor",
                  "give it a key of its own");
    }
    way.insert(way.end(), node.items.begin(), node.items.end());
    way.insert(way.end(), node.pairs.begin(), node.pairs.end());
    way.insert(way.end(), {node.callable, node.args, node.state});
  }
  return {};
}

/// The file's own graph with names in the place of tensors.
static Result<Bytes> named_pickle(const TorchFile& file, const TakenState& taken) {
  PickleGraph graph = file.graph;
  for (const auto& [id, name] : taken.names) {
    const PickleId named = tensor_name_node(graph, name.name, name.requires_grad);
    graph.at(id) = graph.at(named);
  }
  CAIRN_CHECK(refuse_hidden(graph, file.root));
  return write_pickle(graph, file.root);
}

static Result<Bytes> objects_pickle(const TorchFile& file, const Taker& taker) {
  PickleGraph graph = file.graph;
  std::vector<PickleId> pairs;
  for (const auto& [name, id] : taker.objects) {
    pairs.push_back(graph.text(name));
    pairs.push_back(id);
  }
  return write_pickle(graph, graph.dict(std::move(pairs)));
}

static Status name_file(Status status, const std::string& path) {
  if (status) return status;
  Error error = std::move(status).error();
  error.message = fmt::format("{} (in '{}')", error.message, path);
  return tl::unexpected(std::move(error));
}

static Status take_root(const TorchFile& file, Taker& taker, StateNode& root) {
  const PickleNode& object = file.graph.at(file.root);
  const bool is_dict =
      object.kind == Kind::kDict || file.graph.is_call_of(file.root, "collections.OrderedDict");
  CAIRN_TRY(StateNode taken, taker.take(file.root, is_dict ? "" : "state", 0));
  if (taken.kind == StateNode::Kind::kDict && is_dict) {
    root = std::move(taken);
  } else {
    root.children.emplace_back("state", std::move(taken));
  }
  return {};
}

/// As it comes back: tags have their tensors in the order of names.
static StateNode without_structure(const TakenState& taken) {
  std::set<std::string> names;
  for (const NamedTensor& named : taken.tensors) names.insert(named.name);
  return flat_state({names.begin(), names.end()});
}

Result<TakenState> take_state(const TorchFile& file, const std::string& path) {
  TakenState taken;
  Taker taker(file);
  CAIRN_CHECK(name_file(take_root(file, taker, taken.root), path));
  if (!taker.objects.empty()) {
    CAIRN_TRY(taken.objects, objects_pickle(file, taker));
  }
  taken.tensors = std::move(taker.tensors);
  taken.names = std::move(taker.names);
  return taken;
}

Result<Bytes> what_structure_leaves_out(const TorchFile& file, const TakenState& taken) {
  CAIRN_TRY(Bytes whole, named_pickle(file, taken));
  PickleGraph plain;
  CAIRN_TRY(const auto objects, read_objects(plain, taken.objects));
  const StateNode root = is_flat(taken.root) ? without_structure(taken) : taken.root;
  CAIRN_TRY(const PickleId same, pickle_of_state(plain, root, among(objects)));
  CAIRN_TRY(const Bytes told, write_pickle(plain, same));
  if (told == whole) whole.clear();
  return whole;
}

std::optional<StateNode> take_value(const TorchFile& file, const std::string& key) {
  Taker taker(file);
  auto taken = taker.take(file.root, key, 0);
  if (!taken || !taker.tensors.empty() || !taker.objects.empty()) return std::nullopt;
  PickleGraph plain;
  const auto same = pickle_of_state(plain, *taken, among({}));
  if (!same) return std::nullopt;
  const auto told = write_pickle(plain, *same), was = write_pickle(file.graph, file.root);
  if (!told || !was || *told != *was) return std::nullopt;
  return *std::move(taken);
}

}  // namespace cairn
