// States as attachments, as pickles, and back.
#include "lib/formats/state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/formats/state_pickle.h"

namespace cairn {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kStructure =
    R"({"dict":[["model",{"dict":[["w","tensor"],["v",{"tied":"model.w"}]]}],)"
    R"([3,{"list":["value",{"tuple":["value","value"]}]}],["nothing",{"dict":[]}]]})";
constexpr std::string_view kValues =
    R"({"3.0":1.5,"3.1.0":{"float":"nan"},"3.1.1":{"bytes":"YWI="}})";

TEST(State, TextsComeBack) {
  const auto state = parse_state(as_bytes(kStructure), as_bytes(kValues));
  ASSERT_TRUE(state);
  EXPECT_EQ(structure_text(*state), kStructure);
  EXPECT_EQ(values_text(*state), kValues);
  std::vector<std::string> names;
  each_leaf(*state, [&](const StateNode& leaf) { names.push_back(leaf.name); });
  EXPECT_EQ(names, (std::vector<std::string>{"model.w", "model.v", "3.0", "3.1.0", "3.1.1"}));
}

TEST(State, AsAPickle) {
  const auto state = parse_state(as_bytes(kStructure), as_bytes(kValues));
  PickleGraph graph;
  const auto root = pickle_of_state(graph, *state, among({}));
  ASSERT_TRUE(root);
  const PickleId model = graph.value_of(*root, "model");
  EXPECT_EQ(graph.value_of(model, "w"), graph.value_of(model, "v"));
  EXPECT_EQ(tensor_name_at(graph, graph.value_of(model, "w"))->name, "model.w");
}

TEST(State, WhatIsNoStructure) {
  for (const char* text :
       {"", "3", "[]", "{}", "\"other\"", R"({"dict":3})", R"({"dict":[["a"]]})",
        R"({"dict":[[1.5,"value"]]})", R"({"set":["tensor"]})", R"({"list":[],"dict":[]})",
        R"({"dict":[["a","value"]]})", R"({"tied":3})"}) {
    const auto state = parse_state(as_bytes(text), as_bytes("{}"));
    ASSERT_FALSE(state) << text;
    EXPECT_EQ(state.error().code, Code::kCorrupt);
  }
  std::string deep = "\"tensor\"";
  for (int i = 0; i < 600; ++i) deep = "{\"list\":[" + deep + "]}";
  EXPECT_FALSE(parse_state(as_bytes(deep), as_bytes("{}")));
  EXPECT_FALSE(parse_state(as_bytes("\"tensor\""), as_bytes("[]")));
}

TEST(State, FlatOnes) {
  const StateNode flat = flat_state({"a", "b"});
  EXPECT_TRUE(is_flat(flat));
  EXPECT_EQ(structure_text(flat), R"({"dict":[["a","tensor"],["b","tensor"]]})");
  EXPECT_FALSE(is_flat(*parse_state(as_bytes(kStructure), as_bytes(kValues))));
  EXPECT_FALSE(is_flat(*parse_state(as_bytes(R"({"dict":[[1,"tensor"]]})"), as_bytes("{}"))));
}

TEST(State, ValuesOfPickles) {
  PickleGraph graph;
  const auto json = [&](PickleId id) {
    const auto value = value_of_pickle(graph, id);
    return value ? value->dump() : "nothing";
  };
  EXPECT_EQ(json(graph.none()), "null");
  EXPECT_EQ(json(graph.boolean(true)), "true");
  EXPECT_EQ(json(graph.integer(-3)), "-3");
  EXPECT_EQ(json(graph.real(-1.0 / 0.0)), R"({"float":"-inf"})");
  EXPECT_EQ(json(graph.text("x")), "\"x\"");
  EXPECT_EQ(json(graph.text("\xed\xa0\x80")), "nothing");  // a lone surrogate
  EXPECT_EQ(json(graph.add({.kind = PickleNode::Kind::kBytes, .text = "ab"})),
            R"({"bytes":"YWI="})");
  EXPECT_EQ(json(graph.tuple({})), "nothing");
  const auto back = pickle_of_value(graph, nlohmann::json(UINT64_MAX));
  ASSERT_TRUE(back);
  EXPECT_EQ(json(*back), "18446744073709551615");
  EXPECT_FALSE(pickle_of_value(graph, nlohmann::json::parse(R"({"other":"x"})")));
  EXPECT_FALSE(pickle_of_value(graph, nlohmann::json::parse(R"({"bytes":"?"})")));
}

TEST(State, ObjectsThatAreMissing) {
  StateNode root{.kind = StateNode::Kind::kObject, .name = "x"};
  PickleGraph graph;
  EXPECT_THAT(pickle_of_state(graph, root, among({})).error().message, HasSubstr("'x'"));
  EXPECT_FALSE(read_objects(graph, as_bytes("nonsense")));
  EXPECT_TRUE(read_objects(graph, {})->empty());
}

}  // namespace
}  // namespace cairn
