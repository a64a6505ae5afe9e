#include "lib/formats/state.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace cairn {

using nlohmann::json;
using Kind = StateNode::Kind;

static constexpr std::array<std::string_view, 9> kWords = {
    "dict", "list", "tuple", "tensor", "array", "tied", "value", "object", "bytes"};

static std::string_view word_of(Kind kind) { return kWords[static_cast<size_t>(kind)]; }

static std::optional<Kind> kind_of(std::string_view word) {
  for (size_t i = 0; i < kWords.size(); ++i) {
    if (kWords[i] == word) return static_cast<Kind>(i);
  }
  return std::nullopt;
}

bool is_state_attachment(std::string_view name) {
  return name == kStructureName || name == kValuesName || name == kObjectsName ||
         name == kTorchName || name == kDcpName || name == kIndexMetadataName ||
         name.starts_with(kBytesPrefix);
}

std::string name_below(const std::string& name, const StateKey& key) {
  std::string last = key.is_string() ? key.get<std::string>() : key.dump();
  return name.empty() ? last : name + "." + last;
}

bool is_flat(const StateNode& root) {
  return root.kind == Kind::kDict &&
         std::all_of(root.children.begin(), root.children.end(), [](const auto& child) {
           return child.first.is_string() && child.second.kind == Kind::kTensor;
         });
}

StateNode flat_state(const std::vector<std::string>& names) {
  StateNode root;
  for (const std::string& name : names) {
    root.children.emplace_back(name, StateNode{.kind = Kind::kTensor, .name = name});
  }
  return root;
}

static std::string text_of(const json& value) { return value.dump(-1, ' ', true); }

static json structure_json(const StateNode& node) {
  if (node.kind == Kind::kTied) return {{"tied", node.tied}};
  if (!node.is_container()) return word_of(node.kind);
  json children = json::array();
  for (const auto& [key, child] : node.children) {
    json below = structure_json(child);
    children.push_back(node.kind == Kind::kDict ? json::array({key, std::move(below)})
                                                : std::move(below));
  }
  return {{word_of(node.kind), std::move(children)}};
}

std::string structure_text(const StateNode& root) { return text_of(structure_json(root)); }

std::string values_text(const StateNode& root) {
  std::string text;
  each_leaf(root, [&](const StateNode& leaf) {
    if (leaf.kind != Kind::kValue) return;
    text +=
        fmt::format("{}{}:{}", text.empty() ? "" : ",", text_of(leaf.name), text_of(leaf.value));
  });
  return "{" + text + "}";
}

namespace {

class StateParser {
 public:
  explicit StateParser(const json& values) : values_(values) {}

  Result<StateNode> parse(const json& told, const std::string& name, unsigned depth) {
    StateNode node{.name = name};
    if (told.is_string()) return parse_leaf(told.get<std::string>(), std::move(node));
    if (!told.is_object() || told.size() != 1 || depth > kNestingMax) return unknown(name);
    const auto kind = kind_of(told.begin().key());
    const json& children = told.begin().value();
    if (kind == Kind::kTied && children.is_string()) {
      node.kind = Kind::kTied;
      node.tied = children.get<std::string>();
      return node;
    }
    if (!kind || *kind > Kind::kTuple || !children.is_array()) return unknown(name);
    node.kind = *kind;
    for (size_t i = 0; i < children.size(); ++i) {
      CAIRN_CHECK(add_child(node, children[i], i, depth));
    }
    return node;
  }

 private:
  static tl::unexpected<Error> unknown(const std::string& name) {
    return fail(Code::kCorrupt,
                fmt::format("the structure of the state is not understood at '{}'", name));
  }

  Result<StateNode> parse_leaf(const std::string& word, StateNode node) const {
    const auto kind = kind_of(word);
    if (!kind || *kind <= Kind::kTuple || *kind == Kind::kTied) return unknown(node.name);
    node.kind = *kind;
    if (*kind != Kind::kValue) return node;
    const auto value = values_.find(node.name);
    if (value == values_.end()) return unknown(node.name);
    node.value = *value;
    return node;
  }

  Status add_child(StateNode& node, const json& told, size_t number, unsigned depth) {
    const bool is_dict = node.kind == Kind::kDict;
    const bool has_key =
        told.is_array() && told.size() == 2 && (told[0].is_string() || told[0].is_number_integer());
    if (is_dict && !has_key) return unknown(node.name);
    const StateKey key = is_dict ? told[0] : StateKey(number);
    CAIRN_TRY(StateNode child,
              parse(is_dict ? told[1] : told, name_below(node.name, key), depth + 1));
    node.children.emplace_back(key, std::move(child));
    return {};
  }

  const json& values_;
};

}  // namespace

Result<StateNode> parse_state(ByteSpan structure, ByteSpan values) {
  const json told = json::parse(structure.begin(), structure.end(), nullptr, false);
  const json known = json::parse(values.begin(), values.end(), nullptr, false);
  if (told.is_discarded() || !known.is_object()) {
    return fail(Code::kCorrupt, "the structure of the state is no JSON");
  }
  return StateParser(known).parse(told, "", 0);
}

}  // namespace cairn
