// Tensors of any dtype, shape and strides, saved from a device and loaded to one, are what the host
// makes of the same memory.
#include <numeric>

#include "gpu/simt/run_grid.h"
#include "lib/convert.h"
#include "tests/lib/device/device_fixture.h"

namespace cairn {
namespace {

constexpr Dtype kAll[] = {Dtype::kBool,   Dtype::kU8,     Dtype::kI8,         Dtype::kF8E5M2,
                          Dtype::kF8E4M3, Dtype::kF8E8M0, Dtype::kF8E4M3Fnuz, Dtype::kF8E5M2Fnuz,
                          Dtype::kI16,    Dtype::kU16,    Dtype::kF16,        Dtype::kBF16,
                          Dtype::kI32,    Dtype::kU32,    Dtype::kF32,        Dtype::kF64,
                          Dtype::kI64,    Dtype::kU64,    Dtype::kC64,        Dtype::kF4,
                          Dtype::kF6E2M3, Dtype::kF6E3M2};

class DeviceLayoutsTest : public DeviceFixture {
 protected:
  uint64_t draw(uint64_t below) { return random_() % below; }

  Shape draw_shape() {
    Shape shape(draw(5));
    if (draw(8) == 0) shape.resize(16);
    uint64_t room = 40000;
    for (uint64_t& length : shape) {
      length = 1 + draw(std::min<uint64_t>(room, 300));
      if (shape.size() > 4 && draw(3) != 0) length = 1 + draw(std::min<uint64_t>(room, 2));
      room /= length;
    }
    if (!shape.empty()) {
      shape.back() *= 4;
      std::shuffle(shape.begin(), shape.end() - 1, random_);
      if (draw(20) == 0) shape[draw(shape.size())] = 0;
    }
    return shape;
  }

  /// Memory in which a box lies: axes in any order, padded, backwards, or all items one.
  struct Layout {
    std::vector<int64_t> strides;
    int64_t first = 0;
    uint64_t bytes = 0;
  };
  Layout draw_layout(const std::vector<uint64_t>& lengths, uint64_t item_bytes, bool may_repeat) {
    Layout layout;
    layout.strides.resize(lengths.size());
    std::vector<size_t> order(lengths.size());
    std::iota(order.begin(), order.end(), 0);
    std::reverse(order.begin(), order.end());
    if (draw(3) == 0) std::shuffle(order.begin(), order.end(), random_);
    auto stride = static_cast<int64_t>(item_bytes);
    int64_t last = 0;
    for (const size_t axis : order) {
      const auto length = static_cast<int64_t>(std::max<uint64_t>(lengths[axis], 1));
      if (draw(4) == 0) stride += static_cast<int64_t>(draw(3) * item_bytes);
      layout.strides[axis] = stride;
      const bool repeats = may_repeat && draw(12) == 0;
      if (repeats) {
        layout.strides[axis] = 0;
        continue;
      }
      if (draw(6) == 0) {
        layout.strides[axis] = -stride;
        layout.first += (length - 1) * stride;
      }
      last += (length - 1) * stride;
      stride *= length;
    }
    layout.bytes = static_cast<uint64_t>(last) + item_bytes;
    return layout;
  }

  std::mt19937_64 random_{1};
};

TEST_F(DeviceLayoutsTest, SavesAreThoseOfTheHost) {
  for (uint64_t turn = 0; turn < 24; ++turn) {
    gpu::simt::set_schedule(turn);
    StagingOptions options = small_options();
    if (turn % 3 == 1) options.device_bytes = 400000;
    staging_ = gpu::must(open_staging(options));
    const Dtype dtype = kAll[turn % std::size(kAll)];
    const Shape shape = draw_shape();
    const auto form = storage_form(dtype, shape);
    if (!form) continue;
    const Layout layout = form->shape == shape
                              ? draw_layout(shape, form->item_bytes, true)
                              : Layout{{}, 0, whole_box(form->shape).elements() * form->item_bytes};
    const auto offset = static_cast<int64_t>(draw(4) * form->item_bytes);
    const Bytes data = noise(layout.bytes + 64, static_cast<uint32_t>(turn));
    Bytes next = data;
    for (size_t i = 0; i < next.size(); i += 50) next[i] ^= 1;
    const auto on_host = [&](const Bytes& memory) {
      TensorSource tensor{
          "w",           dtype, shape, whole_box(shape), memory.data() + offset + layout.first,
          layout.strides};
      return tensor;
    };
    const auto there = [&](const Bytes& memory) {
      memory_.push_back(std::make_unique<gpu::OnDevice>(ByteSpan(memory)));
      TensorSource tensor = on_host(memory);
      tensor.data = memory_.back()->data() + offset + layout.first;
      tensor.device = 0;
      return tensor;
    };
    const std::string number = std::to_string(turn);
    for (const std::string base : {"none", "host/a"}) {
      const Bytes& memory = base == "none" ? data : next;
      SaveRequest request;
      request.tag = (base == "none" ? "host/a" : "host/b") + number;
      request.base = base == "none" ? base : base + number;
      request.tensors = {on_host(memory)};
      const auto expected = save(*store_, request);
      ASSERT_TRUE(expected) << expected.error().message;
      request.tag = (base == "none" ? "device/a" : "device/b") + number;
      request.tensors = {there(memory)};
      if (base != "none") request.base_memory = {there(data)};
      request.devices.staging = staging_.get();
      const auto saved = save(*store_, request);
      ASSERT_TRUE(saved) << turn << " " << whole_box(shape).text() << ": " << saved.error().message;
      EXPECT_EQ(saved->manifest, expected->manifest) << turn << whole_box(shape).text();
    }
    memory_.clear();
  }
}

/// Its first chunk is not small, its last lies in a page.
TEST_F(DeviceLayoutsTest, ChunksOfAllLengthsAreSaved) {
  const Shape shape = {3, 3, 3, 3, 3, 200};
  const Bytes data = noise(243 * 200, 1);
  SaveRequest request;
  request.tag = "host";
  request.base = "none";
  request.tensors = {{"w", Dtype::kU8, shape, whole_box(shape), data.data(), {}}};
  const auto expected = save(*store_, request);
  ASSERT_TRUE(expected) << expected.error().message;
  request.tag = "device";
  const auto saved = save_from_device(request);
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_EQ(saved->manifest, expected->manifest);
}

TEST_F(DeviceLayoutsTest, LoadsAreThoseOfTheHost) {
  for (uint64_t turn = 0; turn < 40; ++turn) {
    gpu::simt::set_schedule(turn);
    StagingOptions options = small_options();
    if (turn % 3 == 1) options.device_bytes = 400000;
    staging_ = gpu::must(open_staging(options));
    const Dtype dtype = kAll[draw(std::size(kAll))];
    const Shape shape = draw_shape();
    const auto form = storage_form(dtype, shape);
    if (!form) continue;
    const Bytes data =
        noise(whole_box(form->shape).elements() * form->item_bytes, static_cast<uint32_t>(turn));
    SaveRequest saving;
    saving.tag = "t/" + std::to_string(turn);
    saving.tensors = {{"w", dtype, shape, whole_box(shape), data.data(), {}}};
    ASSERT_TRUE(save(*store_, saving));
    LoadRequest request;
    request.cast = true;
    std::vector<Bytes> on_host;
    std::vector<std::unique_ptr<gpu::OnDevice>> there;
    std::vector<int64_t> places;
    for (uint64_t i = 0; i < 1 + draw(3); ++i) {
      Dtype wanted = kAll[draw(std::size(kAll))];
      if (!check_convertible(dtype, wanted)) wanted = dtype;
      Box box = whole_box(shape);
      if (form->shape == shape) {
        for (size_t axis = 0; axis < shape.size(); ++axis) {
          if (draw(2) == 0 || shape[axis] == 0) continue;
          box.offsets[axis] = draw(shape[axis]);
          box.lengths[axis] = 1 + draw(shape[axis] - box.offsets[axis]);
        }
      }
      const uint64_t item_bytes = wanted == dtype ? form->item_bytes : bits_per_element(wanted) / 8;
      const Layout layout = form->shape == shape ? draw_layout(box.lengths, item_bytes, false)
                                                 : Layout{{}, 0, data.size()};
      places.push_back(static_cast<int64_t>(draw(4) * item_bytes) + layout.first);
      on_host.emplace_back(layout.bytes + 64, uint8_t{0xee});
      there.push_back(std::make_unique<gpu::OnDevice>(ByteSpan(on_host.back())));
      request.targets.push_back(
          {"w", wanted, shape, box, on_host.back().data() + places.back(), layout.strides});
    }
    auto checkpoint = gpu::must(open_tag(*store_, saving.tag));
    const auto loaded = load(*checkpoint, request);
    ASSERT_TRUE(loaded) << loaded.error().message;
    for (size_t i = 0; i < there.size(); ++i) {
      request.targets[i].data = there[i]->data() + places[i];
      request.targets[i].device = 0;
    }
    request.devices.staging = staging_.get();
    const auto sent = load(*checkpoint, request);
    ASSERT_TRUE(sent) << turn << ": " << sent.error().message;
    for (size_t i = 0; i < there.size(); ++i) {
      EXPECT_TRUE(there[i]->content() == on_host[i])
          << turn << " " << request.targets[i].box.text() << " " << static_cast<int>(dtype)
          << " as " << static_cast<int>(request.targets[i].dtype);
    }
  }
}

}  // namespace
}  // namespace cairn
