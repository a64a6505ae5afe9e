#include "tests/bench/gpu/device_state.h"

#include <fmt/format.h>

#include <algorithm>

#include "gpu/copy_box.h"
#include "lib/grid.h"
#include "lib/strided.h"
#include "tests/bench/gpu/random_weights.h"

namespace cairn {

namespace {

constexpr uint64_t kWidthLeast = 64, kWidthMost = 4096, kLayersWanted = 4;
constexpr uint64_t kNoiseBytes = 64 * kMiB;
constexpr uint64_t kFilledBytes = 64 * kKiB;  // at a time
constexpr uint64_t kSegmentItems = uint64_t{1} << 19;

/// Of a layer, with its share of what is transposed.
uint64_t items_of_layer(uint64_t width) { return 11 * width * width + 5 * width; }

}  // namespace

Result<DeviceState> DeviceState::make(StateKind kind, uint64_t bytes, uint64_t chunk_elements) {
  DeviceState state;
  state.chunk_elements_ = chunk_elements;
  const uint64_t item_bytes = kind == StateKind::kTraining ? 10 : 2;
  uint64_t width = kWidthMost;
  while (width > kWidthLeast && kLayersWanted * items_of_layer(width) * item_bytes > bytes) {
    width /= 2;
  }
  state.lay_out(std::max<uint64_t>(1, bytes / (items_of_layer(width) * item_bytes)), width);
  state.parts_ = {{Role::kWeight, Dtype::kBF16, 2, 0}};
  if (kind == StateKind::kTraining) {
    state.parts_.push_back({Role::kExpAvg, Dtype::kF32, 4, 2 * state.items_});
    state.parts_.push_back({Role::kExpAvgSq, Dtype::kF32, 4, 6 * state.items_});
  }
  CAIRN_TRY(state.memory_, gpu::DeviceMemory::allocate(item_bytes * state.items_));
  CAIRN_TRY(auto noise, gpu::random_weights(kNoiseBytes, 1));
  state.noise_ = std::move(noise.buffers.front());
  CAIRN_CHECK(state.fill());
  for (const Parameter& parameter : state.parameters_) {
    state.chunks_ += state.parts_.size() * Grid(parameter.shape, chunk_elements).chunk_count();
  }
  return state;
}

void DeviceState::lay_out(uint64_t layers, uint64_t width) {
  for (uint64_t layer = 0; layer < layers; ++layer) {
    add_layer(fmt::format("layers.{:02}", layer), width);
  }
  // Each row of it lies as a column.
  add("scales", {layers, 4 * width}, {1, static_cast<int64_t>(layers)});
}

void DeviceState::add_layer(const std::string& layer, uint64_t width) {
  const auto row = static_cast<int64_t>(3 * width);
  const uint64_t fused = items_;
  for (const char* name : {"query", "key", "value"}) {
    add(fmt::format("{}.{}.weight", layer, name), {width, width}, {row, 1});
    parameters_.back().first_item = fused + (items_ - fused) / width - width;
  }
  add(layer + ".up.weight", {4 * width, width});
  add(layer + ".down.weight", {width, 4 * width});
  add(layer + ".norm.weight", {width});
}

void DeviceState::add(std::string name, Shape shape, std::vector<int64_t> strides) {
  const uint64_t first = items_;
  items_ += whole_box(shape).elements();
  parameters_.push_back({std::move(name), std::move(shape), std::move(strides), first});
}

uint64_t DeviceState::item_bytes_of(const TensorSource& source) {
  return bits_per_element(source.dtype) / 8;
}

TensorSource DeviceState::source_of(const Parameter& parameter, const Part& part,
                                    const uint8_t* memory) const {
  TensorSource source;
  source.name = fmt::format("{}.{}", role_name(part.role), parameter.name);
  source.dtype = part.dtype;
  source.shape = parameter.shape;
  source.box = whole_box(parameter.shape);
  source.data = memory + part.begin + part.item_bytes * parameter.first_item;
  for (const int64_t stride : parameter.strides) {
    source.strides_bytes.push_back(stride * static_cast<int64_t>(part.item_bytes));
  }
  source.role = part.role;
  source.parameter = parameter.name;
  source.device = 0;
  return source;
}

std::vector<TensorSource> DeviceState::sources_of(const uint8_t* memory) const {
  std::vector<TensorSource> sources;
  for (const Parameter& parameter : parameters_) {
    for (const Part& part : parts_) sources.push_back(source_of(parameter, part, memory));
  }
  return sources;
}

std::vector<TensorTarget> DeviceState::targets_of(uint8_t* memory) const {
  std::vector<TensorTarget> targets;
  for (const TensorSource& source : sources_of(memory)) {
    auto* const data = memory + (static_cast<const uint8_t*>(source.data) - memory);
    targets.push_back({source.name, source.dtype, source.shape, source.box, data,
                       source.strides_bytes, source.device});
  }
  return targets;
}

/// So many bytes of noise, other ones than before for a long time.
const uint8_t* DeviceState::noise(uint64_t bytes) {
  const uint64_t places = (noise_.size() - bytes) / 16;
  // Steps of a large odd number meet all places before they meet one again, or nearly.
  return noise_.data() + 16 * (noise_turn_++ * 1000003 % places);
}

Status DeviceState::fill() {
  for (uint64_t at = 0; at < bytes(); at += kFilledBytes) {
    const uint64_t part = std::min(kFilledBytes, bytes() - at);
    CAIRN_CHECK(gpu::copy_within({}, memory_.data() + at, noise(part), part));
  }
  return gpu::synchronize({});
}

Status DeviceState::change_chunks(double part, unsigned round) {
  std::vector<gpu::BoxCopy> copies;
  // Groups are taken whenever their share is due, in each round others.
  double due = -part * static_cast<double>(round % 10 * chunk_elements_);
  for (const Parameter& parameter : parameters_) {
    const Grid grid(parameter.shape, chunk_elements_);
    for (uint64_t chunk = 0; chunk < grid.chunk_count(); ++chunk) {
      const Box box = grid.chunk_box(chunk);
      const auto elements = static_cast<double>(box.elements());
      due += part * elements;
      if (due < elements) continue;
      due -= elements;
      for (const Part& each : parts_) {
        const TensorSource source = source_of(parameter, each, memory_.data());
        CAIRN_TRY(const auto form, storage_form(source.dtype, source.shape));
        CAIRN_TRY(const auto whole, source_box(form, source));
        auto* const data = const_cast<uint8_t*>(whole.data);
        const auto to = sub_box(StridedTarget{data, whole.strides_bytes}, whole.box, box);
        copies.push_back({noise(box.elements() * each.item_bytes),
                          contiguous_strides(box.lengths, each.item_bytes), to.data,
                          to.strides_bytes, box.lengths, each.item_bytes});
      }
    }
  }
  CAIRN_CHECK(gpu::copy_boxes({}, copies));
  return gpu::synchronize({});
}

Status DeviceState::change_elements(uint64_t period, unsigned round) {
  std::vector<gpu::BoxCopy> copies;
  for (uint64_t first = 0; first < items_; first += kSegmentItems) {
    const uint64_t items = std::min(kSegmentItems, items_ - first);
    const uint64_t phase = (first / kSegmentItems * 7 + round * 3) % period;
    const uint64_t count = items > phase ? (items - phase - 1) / period + 1 : 0;
    if (count == 0) continue;
    copies.push_back({noise(2 * count),
                      {2},
                      memory_.data() + 2 * (first + phase),
                      {static_cast<int64_t>(2 * period)},
                      {count},
                      2});
  }
  CAIRN_CHECK(gpu::copy_boxes({}, copies));
  return gpu::synchronize({});
}

std::vector<SourceBox> DeviceState::chunk_boxes(uint64_t period) const {
  std::vector<SourceBox> boxes;
  uint64_t group = 0;
  for (const Parameter& parameter : parameters_) {
    const Grid grid(parameter.shape, chunk_elements_);
    for (uint64_t chunk = 0; chunk < grid.chunk_count(); ++chunk) {
      if (group++ % period != 0) continue;
      const Box box = grid.chunk_box(chunk);
      for (const Part& part : parts_) {
        const TensorSource source = source_of(parameter, part, memory_.data());
        auto strides = source.strides_bytes;
        if (strides.empty()) strides = contiguous_strides(parameter.shape, part.item_bytes);
        const auto* data = static_cast<const uint8_t*>(source.data);
        const auto at = sub_box(StridedSource{data, strides}, source.box, box);
        boxes.push_back({box, at.data, std::move(strides), 0, 0});
      }
    }
  }
  return boxes;
}

}  // namespace cairn
