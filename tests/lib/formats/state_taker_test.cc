// Names, ties and leaves of an object of torch.save; whole files are for tests/python.
#include "lib/formats/state_taker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cairn {
namespace {

using ::testing::HasSubstr;

/// A tensor of `elements` floats at the beginning of the storage "0".
PickleId tensor(PickleGraph& graph, int64_t elements, bool requires_grad = false) {
  const PickleId place =
      graph.persistent(graph.tuple({graph.text("storage"), graph.global("torch.FloatStorage"),
                                    graph.text("0"), graph.text("cpu"), graph.integer(4)}));
  const PickleId hooks = graph.call(graph.global("collections.OrderedDict"), {});
  return graph.call(graph.global("torch._utils._rebuild_tensor_v2"),
                    {place, graph.integer(0), graph.tuple({graph.integer(elements)}),
                     graph.tuple({graph.integer(1)}), graph.boolean(requires_grad), hooks});
}

TorchFile empty_file() {
  static const Bytes kStorage(16);
  TorchFile file;
  file.storages.emplace("0", kStorage);
  return file;
}

TEST(StateTaker, NamesAndTies) {
  TorchFile file = empty_file();
  PickleGraph& graph = file.graph;
  file.root = graph.dict({graph.text("a"), graph.list({tensor(graph, 4), tensor(graph, 4)}),
                          graph.integer(7), tensor(graph, 2), graph.text("n"), graph.integer(3)});
  const auto taken = take_state(file, "x.pt");
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_EQ(structure_text(taken->root),
            R"({"dict":[["a",{"list":["tensor",{"tied":"a.0"}]}],[7,"tensor"],["n","value"]]})");
  ASSERT_EQ(taken->tensors.size(), 2U);
  EXPECT_EQ(taken->tensors[1].name, "7");
  EXPECT_FALSE(what_structure_leaves_out(file, *taken)->empty());  // two objects of one memory
}

TEST(StateTaker, WhatFollowsFromTheStructureIsNotKept) {
  TorchFile file = empty_file();
  PickleGraph& graph = file.graph;
  const PickleId betas = graph.tuple({graph.real(0.9), graph.real(0.99)});
  file.root = graph.dict(
      {graph.text("w"), tensor(graph, 4), graph.text("b"), betas, graph.text("c"), betas});
  EXPECT_TRUE(what_structure_leaves_out(file, *take_state(file, "x.pt"))->empty());
  TorchFile other = empty_file();
  other.root = other.graph.dict({other.graph.text("w"), tensor(other.graph, 4, true)});
  // It requires a gradient.
  EXPECT_FALSE(what_structure_leaves_out(other, *take_state(other, "x.pt"))->empty());
}

TEST(StateTaker, ObjectsAndTheirTensors) {
  TorchFile file = empty_file();
  PickleGraph& graph = file.graph;
  const PickleId device = graph.call(graph.global("torch.device"), {graph.text("cpu")});
  file.root = graph.dict({graph.text("w"), tensor(graph, 1), graph.text("d"), device});
  const auto taken = take_state(file, "x.pt");
  ASSERT_TRUE(taken);
  EXPECT_FALSE(taken->objects.empty());
  const PickleId odd = graph.dict({graph.tuple({}), tensor(graph, 1)});
  file.root = graph.dict({graph.text("odd"), odd});
  EXPECT_THAT(take_state(file, "x.pt").error().message, HasSubstr("'odd' has a key"));
}

TEST(StateTaker, ValuesByThemselves) {
  TorchFile file = empty_file();
  file.root = file.graph.list({file.graph.integer(1), file.graph.text("x")});
  const auto value = take_value(file, "k");
  ASSERT_TRUE(value);
  EXPECT_EQ(value->children[1].second.name, "k.1");
  file.root = file.graph.list({tensor(file.graph, 1)});
  EXPECT_FALSE(take_value(file, "k"));
  file.root = file.graph.call(file.graph.global("collections.OrderedDict"), {});
  EXPECT_FALSE(take_value(file, "k"));  // it would come back as a dict
}

TEST(StateTaker, SharedContainersAreNotFollowedForEver) {
  TorchFile file = empty_file();
  PickleId doubled = file.graph.integer(1);
  for (int i = 0; i < 60; ++i) doubled = file.graph.list({doubled, doubled});
  file.root = doubled;
  EXPECT_THAT(take_state(file, "x.pt").error().message, HasSubstr("too many"));
  PickleId empty = file.graph.list({});
  for (int i = 0; i < 60; ++i) empty = file.graph.list({empty, empty});
  file.root = empty;
  EXPECT_THAT(take_state(file, "x.pt").error().message, HasSubstr("too many"));
}

TEST(StateTaker, NamesThatAreNoText) {
  for (const bool is_empty : {true, false}) {
    TorchFile file = empty_file();
    const PickleId below = is_empty ? file.graph.list({}) : file.graph.integer(1);
    file.root = file.graph.dict({file.graph.text("\xed\xa0\x80"), below});
    EXPECT_THAT(take_state(file, "x.pt").error().message, HasSubstr("UTF-8"));
  }
}

}  // namespace
}  // namespace cairn
