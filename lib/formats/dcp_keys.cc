#include "lib/formats/dcp_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

namespace cairn {

using Kind = StateNode::Kind;

static bool is_tensor(const StateNode& node) {
  return node.kind == Kind::kTensor || node.kind == Kind::kTied;
}

static bool is_leaf(const StateNode& node) {
  if (!node.is_container() || node.kind == Kind::kTuple) return true;
  return node.kind == Kind::kList &&
         std::all_of(node.children.begin(), node.children.end(), [](const auto& child) {
           return is_leaf(child.second) && !is_tensor(child.second);
         });
}

static std::string text_of(const StateKey& key) {
  return key.is_string() ? key.get<std::string>() : key.dump();
}

static std::string key_of(const DcpPath& path) {
  std::string key;
  for (const StateKey& part : path) key += (key.empty() ? "" : ".") + text_of(part);
  return key;
}

static void visit(const StateNode& node, const DcpPath& path, std::vector<DcpLeaf>& leaves) {
  if (!path.empty() && is_leaf(node)) {
    leaves.push_back({key_of(path), path, &node});
    return;
  }
  for (const auto& [key, child] : node.children) {
    DcpPath below = path;
    // DCP makes text of a dict's keys.
    below.push_back(node.kind == Kind::kDict ? StateKey(text_of(key)) : key);
    visit(child, below, leaves);
  }
}

std::vector<DcpLeaf> dcp_leaves(const StateNode& root) {
  std::vector<DcpLeaf> leaves;
  visit(root, {}, leaves);
  return leaves;
}

namespace {

/// A container on the way to leaves.
struct Branch {
  std::vector<std::pair<StateKey, Branch>> below;
  std::map<StateKey, size_t> numbers;
  std::optional<StateNode> leaf;

  Branch& at(const StateKey& key) {
    const auto [found, fresh] = numbers.try_emplace(key, below.size());
    if (fresh) below.emplace_back(key, Branch());
    return below[found->second].second;
  }
};

}  // namespace

/// nullopt where keys are neither text nor the places of a list.
static std::optional<StateNode> node_of(Branch& branch, const std::string& name, bool is_root) {
  if (branch.leaf) return branch.leaf;
  const auto is_text = [](const auto& child) { return child.first.is_string(); };
  const bool is_dict = std::all_of(branch.below.begin(), branch.below.end(), is_text);
  const bool is_mixed = std::any_of(branch.below.begin(), branch.below.end(), is_text);
  if (!is_dict && (is_root || is_mixed)) return std::nullopt;
  if (!is_dict) {
    std::sort(branch.below.begin(), branch.below.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
  }
  StateNode node{.kind = is_dict ? Kind::kDict : Kind::kList, .name = name};
  for (size_t i = 0; i < branch.below.size(); ++i) {
    auto& [key, child] = branch.below[i];
    if (!is_dict && key != StateKey(i)) return std::nullopt;
    auto made = node_of(child, name_below(name, key), false);
    if (!made) return std::nullopt;
    node.children.emplace_back(key, *std::move(made));
  }
  return node;
}

static std::optional<StateNode> tree_of(const std::vector<std::pair<std::string, StateNode>>& nodes,
                                        const std::map<std::string, DcpPath>& paths) {
  Branch root;
  for (const auto& [key, node] : nodes) {
    const auto known = paths.find(key);
    const DcpPath path = known == paths.end() ? DcpPath{key} : known->second;
    Branch* place = &root;
    for (const StateKey& part : path) {
      if (part == "" || place->leaf) return std::nullopt;  // names leave empty keys out
      place = &place->at(part);
    }
    if (place->leaf || !place->below.empty()) return std::nullopt;
    place->leaf = node;
  }
  return node_of(root, "", true);
}

/// Whether the state's leaves are called as the nodes are.
static bool has_keys(const StateNode& root,
                     const std::vector<std::pair<std::string, StateNode>>& nodes) {
  std::map<std::string, size_t> wanted;
  for (const auto& [key, node] : nodes) wanted.emplace(key, 0);
  const auto leaves = dcp_leaves(root);
  return leaves.size() == nodes.size() &&
         std::all_of(leaves.begin(), leaves.end(),
                     [&](const DcpLeaf& leaf) { return wanted.contains(leaf.key); });
}

static StateNode* child_of(StateNode& node, std::string_view key) {
  for (auto& [name, child] : node.children) {
    if (name == key) return &child;
  }
  return nullptr;
}

/// The numbers of the groups' parameters as text; none where they are called otherwise.
static std::set<std::string> numbers_of(StateNode& groups) {
  std::set<std::string> numbers;
  if (groups.kind != Kind::kList) return {};
  for (auto& [place, group] : groups.children) {
    const StateNode* params = child_of(group, "params");
    if (params == nullptr || params->kind != Kind::kList) continue;
    for (const auto& [number, param] : params->children) {
      if (!param.value.is_number_integer()) return {};
      numbers.insert(param.value.dump());
    }
  }
  return numbers;
}

/// load_state_dict() of optimizers finds no moments under text.
static void number_parameters(StateNode& node) {
  for (auto& [key, child] : node.children) number_parameters(child);
  if (node.kind != Kind::kDict) return;
  StateNode* state = child_of(node, "state");
  StateNode* groups = child_of(node, "param_groups");
  if (state == nullptr || groups == nullptr || state->kind != Kind::kDict) return;
  const std::set<std::string> numbers = numbers_of(*groups);
  const bool are_numbers =
      std::all_of(state->children.begin(), state->children.end(), [&](const auto& child) {
        return child.first.is_string() && numbers.contains(child.first.template get<std::string>());
      });
  if (!are_numbers) return;
  for (auto& [key, child] : state->children) key = StateKey::parse(key.get<std::string>());
}

StateNode state_of_dcp(std::vector<std::pair<std::string, StateNode>> nodes,
                       const std::map<std::string, DcpPath>& paths) {
  auto nested = tree_of(nodes, paths);
  if (nested && has_keys(*nested, nodes)) {
    number_parameters(*nested);
    return *std::move(nested);
  }
  StateNode flat;
  for (auto& [key, node] : nodes) flat.children.emplace_back(key, std::move(node));
  return flat;
}

}  // namespace cairn
