// A store, a staging, and tensors in a device's memory, which is the host's in the simulation.
#pragma once

#include <map>

#include "gpu/gpu.h"
#include "lib/save_plan.h"
#include "tests/gpu/kernel_fixture.h"
#include "tests/lib/store_fixture.h"
#ifdef CAIRN_SIMT
#include "gpu/simt/faults.h"
#endif

namespace cairn {

/// The order in which the simulation's threads and streams run. A device has its own.
inline void draw_schedule([[maybe_unused]] uint64_t seed) {
#ifdef CAIRN_SIMT
  gpu::simt::set_schedule(seed);
#endif
}

class DeviceFixture : public StoreFixture {
 protected:
  static constexpr uint64_t kSlab = 64 << 10;

  static StagingOptions small_options() {
    StagingOptions options;
    options.pinned_bytes = 4 * kSlab;
    options.slab_bytes = kSlab;
    options.device_bytes = uint64_t{2} << 20;
    return options;
  }

  void SetUp() override {
    Config config;
    config.chunk_elements = 8192;
    ASSERT_TRUE(Store::init(posix_fs(), path(), config));
    store_ = *Store::open(posix_fs(), path());
    staging_ = gpu::must(open_staging(small_options()));
  }

  void TearDown() override {
#ifdef CAIRN_SIMT
    gpu::simt::clear_faults();
#endif
    draw_schedule(0);
  }

  /// The same tensors in a device's memory, box by box, strides and all.
  std::vector<TensorSource> on_device(std::vector<TensorSource> tensors, uint32_t device = 0) {
    for (TensorSource& tensor : tensors) {
      const auto scope = gpu::must(gpu::DeviceScope::enter(device));
      const StorageForm form = gpu::must(storage_form(tensor.dtype, tensor.shape));
      const SourceBox box = gpu::must(source_box(form, tensor));
      uint64_t reach = form.item_bytes;
      for (size_t axis = 0; axis < box.box.rank(); ++axis) {
        reach += (box.box.lengths[axis] - 1) * static_cast<uint64_t>(box.strides_bytes[axis]);
      }
      if (box.box.is_empty()) reach = 0;
      const auto* bytes = static_cast<const uint8_t*>(tensor.data);
      memory_.push_back(std::make_unique<gpu::OnDevice>(ByteSpan(bytes, reach)));
      tensor.data = memory_.back()->data();
      tensor.device = device;
    }
    return tensors;
  }

  Result<SaveResult> save_from_device(SaveRequest request, uint32_t device = 0) {
    request.tensors = on_device(std::move(request.tensors), device);
    request.devices.staging = staging_.get();
    return save(*store_, request);
  }

  /// Another device, where there is one.
  static unsigned second_device() { return gpu::must(count_devices()) > 1 ? 1 : 0; }

  std::unique_ptr<Staging> staging_;
  std::vector<std::unique_ptr<gpu::OnDevice>> memory_;
};

}  // namespace cairn
