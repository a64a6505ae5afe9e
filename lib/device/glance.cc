#include "lib/device/glance.h"

#include <algorithm>

#include "lib/device/carry.h"
#include "lib/device/landing.h"
#include "lib/grid.h"
#include "store/page.h"

namespace cairn {
namespace {

/// Small tensors of one device, and their contents.
struct Small {
  std::vector<TensorSource*> tensors;
  std::vector<Content> contents;
};

/// As many from `first` on as a slab has room for.
std::span<const Content> slabful(std::span<const Content> contents, const StagingOptions& options) {
  uint64_t bytes = 0;
  size_t count = 0;
  const size_t most = std::min<size_t>(contents.size(), slab_pieces_most(options));
  while (count < most && bytes + landed_bytes(contents[count].bytes) <= options.slab_bytes) {
    bytes += landed_bytes(contents[count++].bytes);
  }
  return contents.first(count);
}

Status land(Slots& slots, Lane& lane, std::span<const Content> contents, MutableBytes to) {
  std::vector<const Content*> pointers;
  for (const Content& content : contents) pointers.push_back(&content);
  const Slots::Slot slot = slots.take(slots.slot_bytes());
  CAIRN_TRY(const Landing landing, Landing::begin(lane, 0, pointers, slot.span()));
  CAIRN_CHECK(landing.wait());
  for (size_t i = 0; i < contents.size(); ++i) {
    const ByteSpan bytes = landing.bytes(i);
    std::copy(bytes.begin(), bytes.end(), to.data());
    to = to.subspan(landed_bytes(bytes.size()));
  }
  return {};
}

/// Copies contents, one after the other at multiples of 16, to `to`.
Status bring(DeviceStaging& staging, Lane& lane, std::span<const Content> contents,
             MutableBytes to) {
  CAIRN_TRY(Slots* const slots, staging.slots());
  while (!contents.empty()) {
    auto part = lane.has_room() ? slabful(contents, staging.options()) : contents.first(0);
    if (part.empty()) {
      part = contents.first(1);
      CAIRN_CHECK(carry({{lane.device(), &lane}}, part.front(), to.first(part.front().bytes)));
    } else {
      CAIRN_CHECK(land(*slots, lane, part, to));
    }
    for (const Content& content : part) to = to.subspan(landed_bytes(content.bytes));
    contents = contents.subspan(part.size());
  }
  return {};
}

}  // namespace

/// Of the chunk that has the fewest.
static uint64_t least_bytes(const Grid& grid, uint64_t item_bytes) {
  uint64_t bytes = item_bytes;
  for (size_t axis = 0; axis < grid.shape().size(); ++axis) {
    bytes *= grid.shape()[axis] / grid.parts()[axis];
  }
  return bytes;
}

bool is_small(const TensorSource& tensor, uint64_t chunk_elements) {
  const auto form = storage_form(tensor.dtype, tensor.shape);
  if (!form) return false;
  const Grid grid(form->shape, chunk_elements);
  if (grid.chunk_count() == 0) return false;
  // The host puts into a page what fits there.
  return grid.chunk_box(0).elements() * form->item_bytes <= kSmallChunkBytes ||
         least_bytes(grid, form->item_bytes) <= kInlineBytesMax;
}

Result<std::vector<AlignedBuffer>> glance(DeviceStaging& staging, const Lanes& lanes,
                                          std::vector<TensorSource>& tensors,
                                          uint64_t chunk_elements) {
  std::map<unsigned, Small> small;
  for (TensorSource& tensor : tensors) {
    if (!tensor.device || !is_small(tensor, chunk_elements)) continue;
    const auto form = storage_form(tensor.dtype, tensor.shape);
    const auto box = source_box(*form, tensor);
    if (!box || box->data == nullptr || box->box.is_empty()) continue;
    Small& of_device = small[*tensor.device];
    of_device.tensors.push_back(&tensor);
    of_device.contents.push_back(content_of(*box, form->item_bytes));
  }
  std::vector<AlignedBuffer> rooms;
  for (auto& [device, of_device] : small) {
    uint64_t bytes = 0;
    for (const Content& content : of_device.contents) bytes += landed_bytes(content.bytes);
    const AlignedBuffer& room = rooms.emplace_back(bytes);
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(device));
    Lane& lane = *lanes.at(device);
    CAIRN_CHECK(bring(staging, lane, of_device.contents, room.span()));
    uint8_t* at = room.data();
    for (size_t i = 0; i < of_device.tensors.size(); ++i) {
      TensorSource& tensor = *of_device.tensors[i];
      tensor.data = at;
      tensor.strides_bytes.clear();
      tensor.device.reset();
      at += landed_bytes(of_device.contents[i].bytes);
    }
  }
  return rooms;
}

}  // namespace cairn
