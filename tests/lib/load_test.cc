// What a load reports before it reads, and that any box of any cut comes back into any memory.
#include <gmock/gmock.h>

#include <map>

#include "lib/convert.h"
#include "tests/lib/store_fixture.h"
#include "tests/support/outcome.h"

namespace cairn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Load : public StoreFixture {
 protected:
  void save_two() {
    SaveRequest request;
    request.tag = "t";
    for (const char* name : {"layer.0.w", "layer.1.w"}) {
      const auto sources = cut(name, {8, 64}, data_, 0, 2, true);
      request.tensors.insert(request.tensors.end(), sources.begin(), sources.end());
    }
    ASSERT_TRUE(succeeds(save(*store_, request)));
    checkpoint_ = *open_tag(*store_, "t");
  }
  TensorTarget target(const std::string& name) {
    return {name, Dtype::kBF16, {8, 64}, whole_box({8, 64}), room_.data(), {}};
  }

  const Bytes data_ = noise(8 * 64 * 2, 1);
  Bytes room_ = Bytes(4096, 0xee);
  std::unique_ptr<Checkpoint> checkpoint_;
};

TEST_F(Load, TheReportNamesWhatDiffers) {
  save_two();
  LoadRequest request;
  request.targets = {target("layer.0.w"), target("bias"), target("bias")};
  request.targets[0].shape = {64, 8};
  request.targets[0].box = whole_box({64, 8});
  const auto report = compare_names(*checkpoint_, request);
  ASSERT_TRUE(succeeds(report));
  EXPECT_THAT(report->missing, ElementsAre("bias"));
  EXPECT_THAT(report->unexpected, ElementsAre("layer.1.w"));
  EXPECT_THAT(report->mismatched,
              ElementsAre("layer.0.w: stored BF16 [8, 64], asked for BF16 [64, 8]"));
  EXPECT_FALSE(report->ok(false));
  const auto loaded = load(*checkpoint_, request);
  ASSERT_TRUE(fails_with(Code::kUsage, loaded));
  EXPECT_THAT(loaded.error().message, HasSubstr("missing: bias"));
  EXPECT_THAT(loaded.error().message, HasSubstr("layer.0.w: stored BF16 [8, 64]"));
  EXPECT_EQ(room_, Bytes(4096, 0xee)) << "nothing is read";
}

TEST_F(Load, OnlyStrictMindsWhatIsNotAskedFor) {
  save_two();
  LoadRequest request;
  request.targets = {target("layer.0.w")};
  EXPECT_TRUE(succeeds(load(*checkpoint_, request)));
  request.strict = true;
  room_.assign(room_.size(), 0xee);
  const auto loaded = load(*checkpoint_, request);
  ASSERT_TRUE(fails_with(Code::kUsage, loaded));
  EXPECT_THAT(loaded.error().message, HasSubstr("unexpected: layer.1.w"));
  EXPECT_EQ(room_, Bytes(4096, 0xee));
}

TEST_F(Load, NamesTooLongForAPatternAreSaid) {
  const std::vector<Rename> rename = {{"^(n|x)*$", "y"}};
  EXPECT_EQ(*apply_renames(std::string(1024, 'n'), rename), "y");
  EXPECT_TRUE(fails_with(Code::kUsage, apply_renames(std::string(1025, 'n'), rename)));
  EXPECT_TRUE(apply_renames(std::string(65535, 'n'), {})) << "nothing to match";
}

TEST_F(Load, RenamesApplyInOrderAndMustNotMeet) {
  save_two();
  LoadRequest request;
  request.targets = {target("model.blocks.1.weight")};
  request.rename = {{R"(^layer\.(\d+)\.w$)", "blocks.$1.weight"}, {"^", "model."}};
  EXPECT_TRUE(succeeds(load(*checkpoint_, request)));
  request.rename = {{R"(\.\d+\.)", ".x."}};
  const auto met = load(*checkpoint_, request);
  ASSERT_TRUE(fails_with(Code::kUsage, met));
  EXPECT_THAT(met.error().message, HasSubstr("'layer.0.w' and 'layer.1.w'"));
  request.rename = {{"(", "x"}};
  EXPECT_TRUE(fails_with(Code::kUsage, load(*checkpoint_, request)));
}

TEST_F(Load, BoxesAndMemoryAreCheckedFirst) {
  save_two();
  LoadRequest request;
  request.targets = {target("layer.0.w")};
  request.targets[0].box = {{0, 60}, {8, 5}};
  EXPECT_TRUE(fails_with(Code::kUsage, load(*checkpoint_, request)));
  request.targets[0] = target("layer.0.w");
  request.targets[0].data = nullptr;
  EXPECT_TRUE(fails_with(Code::kUsage, load(*checkpoint_, request)));
  request.targets[0] = target("layer.0.w");
  request.targets[0].strides_bytes = {2, 2, 2};
  EXPECT_TRUE(fails_with(Code::kUsage, load(*checkpoint_, request)));
}

TEST_F(Load, DtypesDifferOnlyWithCast) {
  save_two();
  std::vector<float> wide(8 * 64, -1);
  LoadRequest request;
  request.targets = {{"layer.1.w", Dtype::kF32, {8, 64}, whole_box({8, 64}), wide.data(), {}}};
  EXPECT_TRUE(fails_with(Code::kUsage, load(*checkpoint_, request)));
  request.cast = true;
  ASSERT_TRUE(succeeds(load(*checkpoint_, request)));
  std::vector<float> expected(wide.size());
  convert(Dtype::kBF16, data_.data(), Dtype::kF32, reinterpret_cast<uint8_t*>(expected.data()),
          expected.size());
  EXPECT_EQ(std::memcmp(wide.data(), expected.data(), wide.size() * 4), 0);
  request.targets[0].dtype = Dtype::kF4;
  EXPECT_TRUE(fails_with(Code::kUsage, load(*checkpoint_, request)));
}

TEST_F(Load, ADeletedPackIsNamed) {
  save_two();
  std::filesystem::remove_all(path() + "/packs");
  LoadRequest request;
  request.targets = {target("layer.0.w")};
  const auto loaded = load(*checkpoint_, request);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr("packs/"));
}

/// A tensor cut at random points along one axis, each part of a writer of its own, in memory that
/// leaves gaps between rows.
class RandomTensor {
 public:
  RandomTensor(std::mt19937& random, const std::string& name) {
    const std::array dtypes = {Dtype::kU8, Dtype::kBF16, Dtype::kF32, Dtype::kF64, Dtype::kC64};
    first.name = name;
    first.dtype = dtypes[random() % dtypes.size()];
    item = bits_per_element(first.dtype) / 8;
    for (size_t axis = random() % 4 + 1; axis > 0; --axis) {
      first.shape.push_back(1 + random() % (axis == 1 ? 70 : 12));
    }
    memory.resize(whole_box(first.shape).elements() * item * 3);
    for (uint8_t& byte : memory) byte = static_cast<uint8_t>(random());
    strides = contiguous_strides(first.shape, item);
    for (int64_t& stride : strides) stride *= 3;
    const size_t axis = random() % first.shape.size();
    const uint64_t length = first.shape[axis];
    for (uint64_t begin = 0; begin < length;) {
      const uint64_t end = begin + 1 + random() % (length - begin);
      TensorSource source = first;
      source.box = whole_box(first.shape);
      source.box.offsets[axis] = begin;
      source.box.lengths[axis] = end - begin;
      source.strides_bytes = strides;
      source.data = memory.data() + static_cast<int64_t>(begin) * strides[axis];
      source.writer = static_cast<uint32_t>(sources.size());
      sources.push_back(source);
      begin = end;
    }
  }

  TensorSource first;
  uint64_t item = 1;
  Bytes memory;
  std::vector<int64_t> strides;
  std::vector<TensorSource> sources;
};

Box random_box(std::mt19937& random, const Shape& shape) {
  Box box = whole_box(shape);
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    box.offsets[axis] = random() % shape[axis];
    box.lengths[axis] = 1 + random() % (shape[axis] - box.offsets[axis]);
  }
  return box;
}

/// Calls visit(byte of the tensor's memory, byte of the target's) for the first byte of each item.
void for_each_item(const Box& box, const std::vector<int64_t>& a, const std::vector<int64_t>& b,
                   const std::function<void(int64_t, int64_t)>& visit) {
  for (uint64_t number = 0; number < box.elements(); ++number) {
    int64_t in_a = 0, in_b = 0;
    uint64_t rest = number;
    for (size_t axis = box.rank(); axis-- > 0; rest /= box.lengths[axis]) {
      const auto at = static_cast<int64_t>(rest % box.lengths[axis]);
      in_a += (at + static_cast<int64_t>(box.offsets[axis])) * a[axis];
      in_b += at * b[axis];
    }
    visit(in_a, in_b);
  }
}

TEST_F(Load, AnyBoxOfAnyCutIntoAnyStrides) {
  std::mt19937 random(11);
  for (int round = 0; round < 60; ++round) {
    const RandomTensor tensor(random, "w");
    SaveRequest saved;
    saved.tag = "r/" + std::to_string(round);
    saved.tensors = tensor.sources;
    ASSERT_TRUE(succeeds(save(*store_, saved)));
    const auto checkpoint = *open_tag(*store_, saved.tag);
    LoadRequest request;
    std::vector<Bytes> rooms;
    for (int i = 0; i < 3; ++i) {
      TensorTarget target{"w", tensor.first.dtype, tensor.first.shape, {}, nullptr, {}};
      target.box = random_box(random, target.shape);
      target.strides_bytes = contiguous_strides(target.box.lengths, tensor.item);
      for (int64_t& stride : target.strides_bytes) stride *= 1 + i;
      rooms.emplace_back(target.box.elements() * tensor.item * (1 + i), 0xee);
      request.targets.push_back(target);
    }
    for (size_t i = 0; i < rooms.size(); ++i) request.targets[i].data = rooms[i].data();
    ASSERT_TRUE(succeeds(load(*checkpoint, request)));
    for (size_t i = 0; i < rooms.size(); ++i) {
      const TensorTarget& target = request.targets[i];
      for_each_item(target.box, tensor.strides, target.strides_bytes, [&](int64_t in, int64_t out) {
        ASSERT_EQ(std::memcmp(tensor.memory.data() + in, rooms[i].data() + out, tensor.item), 0)
            << "round " << round << " box " << target.box.text();
      });
    }
  }
}

TEST_F(Load, EveryChunkMetIsReadOnce) {
  const Bytes data = noise(64 * 1024 * 2, 5);
  SaveRequest saved;
  saved.tag = "t";
  saved.tensors = cut("w", {64, 1024}, data, 0, 4, true);
  ASSERT_TRUE(succeeds(save(*store_, saved)));
  const auto checkpoint = *open_tag(*store_, "t");
  Bytes room(data.size());
  LoadRequest request;
  for (uint64_t column = 0; column < 1024; column += 128) {
    const Box box{{0, column}, {64, 128}};
    request.targets.push_back(
        {"w", Dtype::kBF16, {64, 1024}, box, room.data() + column * 2, {2048, 2}});
  }
  const auto loaded = load(*checkpoint, request);
  ASSERT_TRUE(succeeds(loaded));
  EXPECT_EQ(loaded->bytes, data.size());
  EXPECT_LE(loaded->read_bytes, data.size() + 64 * 64);
  EXPECT_EQ(room, data);
}

}  // namespace
}  // namespace cairn
