// Tensors that change, in memory of simulated devices and of the host, and a copy that follows
// them.
#pragma once

#include <deque>

#include "lib/mirror.h"
#include "lib/strided.h"
#include "tests/lib/device/faulty_device_fixture.h"

namespace cairn {

class MirrorFixture : public FaultyDeviceFixture {
 protected:
  static constexpr uint64_t kChunkElements = 8192;

  /// A tensor, what its memory holds, and the memory of its copy.
  struct Living {
    TensorSource source;
    Bytes content, copy;
    std::unique_ptr<gpu::OnDevice> there = {};  // null: the content is where it lies
  };

  /// Row-major without strides. device: unset: in the host's memory.
  Living& add(const std::string& name, Dtype dtype, const Shape& shape,
              std::optional<uint32_t> device, std::vector<int64_t> strides = {}) {
    Living& made = living_.emplace_back();
    made.source = {name, dtype, shape, whole_box(shape), nullptr, std::move(strides)};
    made.source.device = device;
    const StorageForm form = gpu::must(storage_form(dtype, shape));
    const SourceBox box = gpu::must(source_box(form, made.source));
    uint64_t reach = form.item_bytes;
    for (size_t axis = 0; axis < box.box.rank(); ++axis) {
      if (box.box.is_empty()) break;
      reach += (box.box.lengths[axis] - 1) * static_cast<uint64_t>(box.strides_bytes[axis]);
    }
    made.content = gpu::random_content(reach, living_.size());
    made.copy.assign(form.bytes(), 0xcc);
    if (!device) {
      made.source.data = made.content.data();
      return made;
    }
    const auto scope = gpu::must(gpu::DeviceScope::enter(*device));
    made.there = std::make_unique<gpu::OnDevice>(ByteSpan(made.content));
    made.source.data = made.there->data();
    return made;
  }

  /// A change that begins at this byte of its memory.
  static void change(Living& living, uint64_t at, uint64_t bytes = 1) {
    for (uint64_t i = at; i < at + bytes; ++i) living.content[i] ^= 0x5a;
    if (!living.there) return;
    const auto scope = gpu::must(gpu::DeviceScope::enter(*living.source.device));
    gpu::must(
        gpu::copy_up({}, living.there->data() + at, ByteSpan(living.content).subspan(at, bytes)));
    gpu::must(gpu::synchronize({}));
  }

  MirrorRequest request() {
    MirrorRequest request;
    for (Living& each : living_) {
      request.tensors.push_back(each.source);
      request.copies.push_back(each.copy.data());
    }
    request.devices.staging = staging_.get();
    return request;
  }

  MirrorResult update() {
    const auto updated = mirror_.update(request());
    EXPECT_TRUE(updated) << updated.error().message;
    return updated ? *updated : MirrorResult{};
  }

  /// What the copy must be.
  static Bytes wanted(const Living& living) {
    const StorageForm form = gpu::must(storage_form(living.source.dtype, living.source.shape));
    const SourceBox box = gpu::must(source_box(form, living.source));
    Bytes made(form.bytes());
    copy_box(StridedSource{living.content.data(), box.strides_bytes},
             StridedTarget{made.data(), contiguous_strides(box.box.lengths, form.item_bytes)},
             box.box.lengths, form.item_bytes);
    return made;
  }

  bool is_up_to_date() const {
    return std::all_of(living_.begin(), living_.end(),
                       [](const Living& each) { return each.copy == wanted(each); });
  }

  void expect_up_to_date() const {
    for (const Living& each : living_) {
      EXPECT_TRUE(each.copy == wanted(each)) << "the copy of " << each.source.name;
    }
  }

  std::deque<Living> living_;
  Mirror mirror_{kChunkElements};
};

}  // namespace cairn
