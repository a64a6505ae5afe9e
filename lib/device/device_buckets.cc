#include "lib/device/device_buckets.h"

#include "lib/device/content.h"

namespace cairn {

Result<std::unique_ptr<PassedBuckets>> DeviceBuckets::open(unsigned device,
                                                           std::span<const gpu::Stream> callers) {
  CAIRN_TRY(auto scope, gpu::DeviceScope::enter(device));
  std::unique_ptr<DeviceBuckets> buckets(new DeviceBuckets(device, std::move(scope)));
  for (size_t i = 0; i < buckets->own_.size(); ++i) {
    CAIRN_TRY(buckets->own_[i], gpu::OwnStream::make());
    buckets->streams_[i] = buckets->own_[i].stream();
    CAIRN_TRY(buckets->copied_[i], gpu::Event::make());
  }
  for (const gpu::Stream caller : callers) {
    gpu::Event reached;
    CAIRN_TRY(reached, gpu::Event::make());
    CAIRN_CHECK(reached.record(caller));
    for (const gpu::Stream stream : buckets->streams_) CAIRN_CHECK(gpu::wait_for(stream, reached));
  }
  return buckets;
}

DeviceBuckets::~DeviceBuckets() {
  if (is_abandoned_) {
    // A broadcast may hang for good, and giving memory back would wait for it. It comes behind the
    // copies to targets, which are the caller's again.
    for (const gpu::Event& copied : copied_) static_cast<void>(copied.wait().has_value());
    new gpu::DeviceMemory(std::move(memory_));
    return;
  }
  // After an error too, nothing may be under way when buckets and targets go.
  for (const gpu::OwnStream& own : own_) {
    if (own.stream().handle != nullptr) {
      static_cast<void>(gpu::synchronize(own.stream()).has_value());
    }
  }
}

Result<gpu::DeviceSpan> DeviceBuckets::take(uint64_t bytes) {
  CAIRN_TRY(memory_, gpu::DeviceMemory::allocate(bytes));
  return memory_.span();
}

Status DeviceBuckets::copy(gpu::Stream stream, const uint8_t* data, const Box& box,
                           const TargetBox& target) {
  const auto common = intersect(box, target.box);
  if (!common) return {};
  const StridedSource chunk{data, contiguous_strides(box.lengths, target.item_bytes)};
  const gpu::BoxCopy one =
      box_copy(sub_box(chunk, box, *common), sub_box(target.memory, target.box, *common),
               common->lengths, target.item_bytes);
  CAIRN_CHECK(gpu::copy_boxes(stream, {&one, 1}));
  return copied_[stream.handle == streams_[0].handle ? 0 : 1].record(stream);
}

Result<ByteSpan> DeviceBuckets::on_host(gpu::Stream stream, ByteSpan bytes, AlignedBuffer& room) {
  if (room.size() < bytes.size()) room = AlignedBuffer(bytes.size());
  const MutableBytes here = room.span().first(bytes.size());
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(device_));  // any thread may ask
  CAIRN_CHECK(gpu::copy_down(stream, here, bytes.data()));
  CAIRN_CHECK(gpu::synchronize(stream));
  return ByteSpan(here);
}

}  // namespace cairn
