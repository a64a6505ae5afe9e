// Files of torch.save that lie: views that leave their storages, in both forms.
#include "lib/formats/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/formats/torch_archive.h"

namespace cairn {
namespace {

using namespace std::literals;
using ::testing::HasSubstr;

/// A file with one storage of 24 bytes, and a view of it.
struct View {
  int64_t offset = 0;
  std::vector<int64_t> shape = {2, 3}, strides = {3, 1};
};

PickleId numbers(PickleGraph& graph, const std::vector<int64_t>& values) {
  std::vector<PickleId> items;
  for (const int64_t value : values) items.push_back(graph.integer(value));
  return graph.tuple(std::move(items));
}

TorchFile file_of(const View& view, const std::string& rebuild = "_rebuild_tensor_v2",
                  const std::string& storage = "torch.FloatStorage") {
  static const Bytes kStorage(24, 7);
  TorchFile file;
  PickleGraph& graph = file.graph;
  const PickleId place =
      graph.persistent(graph.tuple({graph.text("storage"), graph.global(storage), graph.text("0"),
                                    graph.text("cpu"), graph.integer(6)}));
  const PickleId hooks = graph.call(graph.global("collections.OrderedDict"), {});
  file.root = graph.call(graph.global("torch._utils." + rebuild),
                         {place, graph.integer(view.offset), numbers(graph, view.shape),
                          numbers(graph, view.strides), graph.boolean(false), hooks});
  file.storages.emplace("0", kStorage);
  return file;
}

TEST(TorchFile, Views) {
  const auto tensor = tensor_at(file_of({.offset = 1, .shape = {2}, .strides = {3}}), 8, "x");
  ASSERT_TRUE(tensor);
  EXPECT_FALSE(*tensor);  // that node is none
  const TorchFile file = file_of({.offset = 1, .shape = {2}, .strides = {3}});
  const auto view = tensor_at(file, file.root, "x");
  ASSERT_TRUE(view && *view);
  EXPECT_EQ((*view)->data, file.storages.at("0").data() + 4);
  EXPECT_EQ((*view)->strides_bytes, (std::vector<int64_t>{12}));
  EXPECT_EQ((*view)->shape, (Shape{2}));
}

TEST(TorchFile, ViewsThatLeaveTheirStorage) {
  for (const View& view :
       {View{.offset = 1}, View{.offset = 6, .shape = {1}, .strides = {1}},
        View{.shape = {2, 3}, .strides = {4, 1}}, View{.shape = {7}, .strides = {1}},
        View{.shape = {2, 2}, .strides = {INT64_MAX, 1}},
        View{.offset = INT64_MAX, .shape = {}, .strides = {}},
        // The last element is the largest number there is.
        View{.offset = INT64_MAX, .shape = {2, 2}, .strides = {INT64_MAX, 1}}}) {
    const TorchFile file = file_of(view);
    const auto tensor = tensor_at(file, file.root, "x");
    ASSERT_FALSE(tensor);
    EXPECT_THAT(tensor.error().message, HasSubstr("leaves its storage"));
  }
}

TEST(TorchFile, WhatIsMalformedOrNotStored) {
  for (const View& view : {View{.offset = -1}, View{.shape = {2, 3}, .strides = {1}},
                           View{.shape = {-2, 3}}, View{.strides = {-3, 1}}}) {
    const TorchFile file = file_of(view);
    EXPECT_FALSE(tensor_at(file, file.root, "x"));
  }
  for (const auto& [rebuild, storage, word] :
       {std::tuple("_rebuild_sparse_tensor", "torch.FloatStorage", "sparse"),
        std::tuple("_rebuild_qtensor", "torch.FloatStorage", "quantized"),
        std::tuple("_rebuild_nested_tensor", "torch.FloatStorage", "_rebuild_nested_tensor"),
        std::tuple("_rebuild_tensor_v2", "torch.ComplexDoubleStorage", "ComplexDouble")}) {
    const TorchFile file = file_of({}, rebuild, storage);
    EXPECT_THAT(tensor_at(file, file.root, "x").error().message, HasSubstr(word));
  }
}

TEST(TorchFile, EmptyTensorsLieNowhere) {
  const TorchFile file = file_of({.offset = 100, .shape = {0, 3}, .strides = {3, 1}});
  EXPECT_TRUE(tensor_at(file, file.root, "x"));
}

// By PyTorch 2.13: torch.save({"w": torch.tensor([1., 2.])}, f, _use_new_zipfile_serialization=
// False), its storage's key shortened.
TEST(TorchFile, TheLegacyForm) {
  const std::string head =
      "\x80\x02\x8a\nl\xfc\x9c"
      "F\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}q\x00("
      "X\x10\x00\x00\x00protocol_versionM\xe9\x03X\r\x00\x00\x00little_endian\x88u."s;
  const std::string object =
      "\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00"
      "\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x00"
      "7X\x03\x00\x00\x00"
      "cpuK\x02Nt"
      "QK\x00K\x02\x85K\x01\x85\x89"
      "ccollections\nOrderedDict\n)RtRs."s;
  const std::string keys =
      "\x80\x02]X\x01\x00\x00\x00"
      "7a."s;
  const std::string data = "\x02\0\0\0\0\0\0\0\0\0\x80?\0\0\0@"s;
  const std::string whole = head + object + keys + data;
  ASSERT_TRUE(looks_like_torch(as_bytes(whole)));
  const auto file = parse_torch_file(as_bytes(whole), "x.pt");
  ASSERT_TRUE(file) << file.error().message;
  const auto tensor = tensor_at(*file, file->graph.value_of(file->root, "w"), "x");
  ASSERT_TRUE(tensor && *tensor);
  EXPECT_EQ(load_le<float>({(*tensor)->data, 8}, 4), 2.0F);
  for (size_t bytes = 15; bytes < whole.size(); ++bytes) {
    const auto cut = parse_torch_file(as_bytes(std::string_view(whole).substr(0, bytes)), "x.pt");
    ASSERT_FALSE(cut) << bytes;
    EXPECT_THAT(cut.error().message, HasSubstr("'x.pt'"));
  }
}

}  // namespace
}  // namespace cairn
