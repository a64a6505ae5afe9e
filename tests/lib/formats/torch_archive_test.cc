// Files of torch.save that are planned here are parsed here; PyTorch's own view is for
// tests/python.
#include "lib/formats/torch_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/formats/state_pickle.h"
#include "lib/formats/torch_file.h"

namespace cairn {
namespace {

using ::testing::HasSubstr;

const std::map<std::string, ArchiveTensor> kTensors = {{"w", {Dtype::kBF16, {3, 5}}},
                                                       {"e", {Dtype::kF32, {0, 4}}},
                                                       {"f", {Dtype::kF8E4M3, {7}}},
                                                       {"unused", {Dtype::kU8, {9}}}};

PickleId state_of(PickleGraph& graph) {
  const PickleId w = tensor_name_node(graph, "w", false);
  return graph.dict({graph.text("w"), w, graph.text("again"), w, graph.text("e"),
                     tensor_name_node(graph, "e", false), graph.text("f"),
                     tensor_name_node(graph, "f", true)});
}

/// Bytes of tensor i are all i + 1, in parts of `part` bytes.
Bytes written(const TorchArchive& archive, size_t part, bool is_reversed) {
  Bytes file(archive.total_bytes());
  TorchArchive::Writer writer(archive, [&](uint64_t at, ByteSpan bytes) -> Status {
    EXPECT_LE(at + bytes.size(), file.size());
    std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<ptrdiff_t>(at));
    return {};
  });
  EXPECT_TRUE(writer.begin());
  const size_t count = archive.tensors().size();
  for (size_t i = 0; i < count; ++i) {
    const size_t number = is_reversed ? count - 1 - i : i;
    const ArchiveTensor& form = kTensors.at(archive.tensors()[number]);
    const Bytes bytes(checked_bytes(form.dtype, form.shape).value(),
                      static_cast<uint8_t>(number + 1));
    for (size_t at = 0; at < bytes.size(); at += part) {
      const size_t end = std::min(bytes.size(), at + part);
      EXPECT_TRUE(writer.add(archive.data_at(number) + at, ByteSpan(bytes).subspan(at, end - at)));
    }
  }
  EXPECT_TRUE(writer.end());
  return file;
}

TEST(TorchArchive, WhatIsWrittenIsParsed) {
  PickleGraph graph;
  const PickleId root = state_of(graph);
  const auto archive = TorchArchive::plan(std::move(graph), root, kTensors);
  ASSERT_TRUE(archive);
  EXPECT_EQ(archive->tensors(), (std::vector<std::string>{"e", "w", "f"}));
  const Bytes bytes = written(*archive, 1000, false);
  EXPECT_EQ(bytes, written(*archive, 4, false));
  EXPECT_EQ(bytes, written(*archive, 3, true));
  const auto file = parse_torch_file(bytes, "x.pt");
  ASSERT_TRUE(file) << file.error().message;
  const auto w = tensor_at(*file, file->graph.value_of(file->root, "w"), "x");
  ASSERT_TRUE(w && *w);
  EXPECT_EQ((*w)->dtype, Dtype::kBF16);
  EXPECT_EQ((*w)->shape, (Shape{3, 5}));
  EXPECT_EQ((*w)->data[29], 2);
  EXPECT_FALSE((*w)->requires_grad);
  EXPECT_EQ(file->graph.value_of(file->root, "w"), file->graph.value_of(file->root, "again"));
  const auto f = tensor_at(*file, file->graph.value_of(file->root, "f"), "x");
  ASSERT_TRUE(f && *f);
  EXPECT_EQ((*f)->dtype, Dtype::kF8E4M3);
  EXPECT_TRUE((*f)->requires_grad);
  const auto e = tensor_at(*file, file->graph.value_of(file->root, "e"), "x");
  ASSERT_TRUE(e && *e);
  EXPECT_EQ((*e)->shape, (Shape{0, 4}));
}

TEST(TorchArchive, WhatCannotBePlanned) {
  PickleGraph graph;
  const PickleId unknown = tensor_name_node(graph, "other", false);
  EXPECT_THAT(TorchArchive::plan(graph, unknown, kTensors).error().message, HasSubstr("'other'"));
  PickleGraph narrow;
  const PickleId root = tensor_name_node(narrow, "x", false);
  EXPECT_THAT(TorchArchive::plan(narrow, root, {{"x", {Dtype::kF4, {2}}}}).error().message,
              HasSubstr("F4"));
}

TEST(TorchArchive, ValuesAlone) {
  PickleGraph graph;
  const PickleId root = graph.dict({graph.text("step"), graph.integer(3)});
  const auto archive = TorchArchive::plan(std::move(graph), root, {});
  ASSERT_TRUE(archive);
  const Bytes bytes = written(*archive, 1, false);
  const auto file = parse_torch_file(bytes, "x");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->graph.at(file->graph.value_of(file->root, "step")).integer, 3);
}

}  // namespace
}  // namespace cairn
