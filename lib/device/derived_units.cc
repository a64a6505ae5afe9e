#include "lib/device/derived_units.h"

#include <map>

#include "gpu/transform_work.h"
#include "lib/device/landing.h"

namespace cairn {

uint64_t cast_tile_items(Cast cast) { return gpu::kTileBytes / target_bytes(cast); }

/// A bit for each item, of all codes where nothing is corrected.
static uint64_t codes_bytes(uint64_t items) { return ceil_div(items, uint64_t{128}) * 16; }

uint64_t cast_room(uint64_t bytes) {
  const uint64_t runs = sizeof(gpu::EscapedRun) * ceil_div(bytes, uint64_t{gpu::kTileBytes});
  const uint64_t known = gpu::TransformPlan::image_bytes(1) + 16 + runs;
  // There are no more casts than units, and each takes three rooms.
  return landed_bytes(bytes) + codes_bytes(bytes / 2) + sizeof(gpu::TransformState) + known +
         3 * Arena::kAlignment;
}

namespace {

/// Those of one cast, by one kernel.
class CastKernel {
 public:
  CastKernel(const Lane& lane, Cast cast) : lane_(lane), cast_(cast) {}

  void add(const CastUnit& unit, size_t number) {
    units_.push_back(&unit);
    numbers_.push_back(number);
  }

  Status run(Arena& arena, std::vector<uint8_t*>& places) {
    CAIRN_CHECK(make_room(arena));
    gpu::Transform transform;
    transform.prediction = gpu::Prediction::kDerived;
    transform.coding = gpu::Coding::kSparse;
    transform.form = {static_cast<uint8_t>(target_bytes(cast_)), true};
    transform.cast = cast_;
    const auto chunks = place_all(places);
    CAIRN_TRY(const auto plan, gpu::TransformPlan::make(transform, chunks));
    // Codes lie in the slab and in the arena: places of both are told from one beginning.
    const gpu::DeviceSpan memory = lane_.memory();
    gpu::CodedSpans spans{memory, {}, memory, state_};
    CAIRN_TRY(const gpu::DeviceSpan image, send_known(arena, plan, spans.runs));
    return gpu::decode(lane_.work(), plan, image, spans, lane_.share());
  }

 private:
  /// For items, and for codes of what needs no correction.
  Status make_room(Arena& arena) {
    uint64_t items = 0, zeros = sizeof(gpu::TransformState);
    for (const CastUnit* unit : units_) {
      items += landed_bytes(unit->bytes);
      if (unit->corrections == nullptr) zeros += codes_bytes(count_of(*unit));
    }
    CAIRN_TRY(items_, take_room(arena, items));
    CAIRN_TRY(zeros_, take_room(arena, zeros));
    state_ = {zeros_.data, sizeof(gpu::TransformState)};
    return gpu::fill_zeros(lane_.work(), zeros_.data, zeros_.bytes);
  }

  std::vector<gpu::TransformChunk> place_all(std::vector<uint8_t*>& places) {
    std::vector<gpu::TransformChunk> chunks;
    uint8_t* items = items_.data;
    const uint8_t* zeros = zeros_.data + state_.bytes;
    for (size_t i = 0; i < units_.size(); ++i) {
      const CastUnit& unit = *units_[i];
      gpu::TransformChunk& chunk = chunks.emplace_back();
      places[numbers_[i]] = chunk.items = items;
      chunk.count = count_of(unit);
      chunk.bases[0] = unit.base;
      chunk.coded = offset_of(unit.corrections != nullptr ? unit.codes : zeros);
      items += landed_bytes(unit.bytes);
      if (unit.corrections == nullptr) zeros += codes_bytes(chunk.count);
    }
    return chunks;
  }

  /// What the device must know: the image, and the runs of each tile behind it.
  Result<gpu::DeviceSpan> send_known(Arena& arena, const gpu::TransformPlan& plan,
                                     gpu::DeviceSpan& runs) const {
    Bytes known(plan.image().begin(), plan.image().end());
    const uint64_t image_bytes = known.size();
    known.resize(round_up(image_bytes, 16));
    const uint64_t runs_at = known.size();
    for (const CastUnit* unit : units_) append_runs(*unit, known);
    CAIRN_TRY(const gpu::DeviceSpan there, take_room(arena, known.size()));
    CAIRN_CHECK(gpu::copy_up(lane_.work(), there.data, known));
    runs = {there.data + runs_at, known.size() - runs_at};
    return gpu::DeviceSpan{there.data, image_bytes};
  }

  void append_runs(const CastUnit& unit, Bytes& known) const {
    if (unit.corrections == nullptr) {
      const uint64_t tiles = ceil_div(unit.bytes, uint64_t{gpu::kTileBytes});
      known.resize(known.size() + sizeof(gpu::EscapedRun) * tiles);
      return;
    }
    for (gpu::EscapedRun run : unit.corrections->runs) {
      if (run.count > 0) run.offset += offset_of(unit.codes);
      append_bytes(known, as_bytes(&run, sizeof run));
    }
  }

  uint64_t count_of(const CastUnit& unit) const { return unit.bytes / target_bytes(cast_); }
  uint64_t offset_of(const uint8_t* place) const {
    return static_cast<uint64_t>(place - lane_.memory().data);
  }

  const Lane& lane_;
  const Cast cast_;
  std::vector<const CastUnit*> units_;
  std::vector<size_t> numbers_;
  gpu::DeviceSpan items_, zeros_, state_;
};

}  // namespace

Result<std::vector<uint8_t*>> cast_units(const Lane& lane, Arena& arena,
                                         std::span<const CastUnit> units) {
  std::vector<uint8_t*> places(units.size());
  std::map<Cast, CastKernel> kernels;
  for (size_t i = 0; i < units.size(); ++i) {
    kernels.try_emplace(units[i].cast, lane, units[i].cast).first->second.add(units[i], i);
  }
  for (auto& [cast, kernel] : kernels) CAIRN_CHECK(kernel.run(arena, places));
  return places;
}

}  // namespace cairn
