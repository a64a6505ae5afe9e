// The rules of python/cairn/torch/_keys.py; tests/python compares with DCP itself.
#include "lib/formats/dcp_keys.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

StateNode parse(std::string_view structure, std::string_view values = "{}") {
  auto state = parse_state(as_bytes(structure), as_bytes(values));
  EXPECT_TRUE(state) << structure;
  return *state;
}

std::vector<std::string> keys_of(const StateNode& root) {
  std::vector<std::string> keys;
  for (const DcpLeaf& leaf : dcp_leaves(root)) keys.push_back(leaf.key);
  return keys;
}

using Keys = std::vector<std::string>;

TEST(DcpKeys, WhatIsALeaf) {
  EXPECT_EQ(keys_of(parse(R"({"dict":[["a",{"dict":[["b","tensor"]]}],["c",{"tuple":["tensor"]}],)"
                          R"(["d",{"list":["value","value"]}],["e",{"list":["value","tensor"]}]]})",
                          R"({"d.0":1,"d.1":2,"e.0":3})")),
            (Keys{"a.b", "c", "d", "e.0", "e.1"}));
  EXPECT_EQ(keys_of(parse(R"({"dict":[["a",{"list":[{"dict":[["b","tensor"]]}]}],[7,"tensor"]]})")),
            (Keys{"a.0.b", "7"}));
}

std::vector<std::pair<std::string, StateNode>> nodes_of(const StateNode& root,
                                                        std::map<std::string, DcpPath>& paths) {
  std::vector<std::pair<std::string, StateNode>> nodes;
  for (const DcpLeaf& leaf : dcp_leaves(root)) {
    nodes.emplace_back(leaf.key, *leaf.node);
    paths.emplace(leaf.key, leaf.path);
  }
  return nodes;
}

TEST(DcpKeys, TheStateComesBack) {
  const StateNode root = parse(
      R"({"dict":[["a",{"dict":[["b","tensor"],["x.y","tensor"]]}],["c",{"tuple":["value"]}],)"
      R"(["e",{"list":[{"dict":[["p","tensor"]]},{"list":["tensor","value"]}]}]]})",
      R"({"c.0":1,"e.1.1":2})");
  std::map<std::string, DcpPath> paths;
  const StateNode back = state_of_dcp(nodes_of(root, paths), paths);
  EXPECT_EQ(structure_text(back), structure_text(root));
  EXPECT_EQ(values_text(back), values_text(root));
}

TEST(DcpKeys, WithoutWaysItIsFlat) {
  const StateNode root = parse(R"({"dict":[["a",{"dict":[["b","tensor"]]}]]})");
  std::map<std::string, DcpPath> paths;
  const StateNode flat = state_of_dcp(nodes_of(root, paths), {});
  EXPECT_EQ(structure_text(flat), R"({"dict":[["a.b","tensor"]]})");
}

TEST(DcpKeys, WaysThatMakeNoTree) {
  const StateNode leaf{.kind = StateNode::Kind::kTensor, .name = "x"};
  const std::map<std::string, DcpPath> kWays[] = {
      {{"a", {"a"}}, {"a.b", {"a", "b"}}},     // a leaf with something below
      {{"a", {"l", 0}}, {"a.b", {"l", 2}}},    // a list with a hole
      {{"a", {"l", 0}}, {"a.b", {"l", "k"}}},  // neither a list nor a dict
      {{"a", {0}}, {"a.b", {1}}},              // a list at the top
      {{"a", {""}}, {"a.b", {"a", "b"}}}};     // an empty key
  for (const auto& ways : kWays) {
    EXPECT_EQ(structure_text(state_of_dcp({{"a", leaf}, {"a.b", leaf}}, ways)),
              R"({"dict":[["a","tensor"],["a.b","tensor"]]})");
  }
}

}  // namespace
}  // namespace cairn
