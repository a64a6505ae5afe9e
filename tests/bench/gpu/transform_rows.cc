#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>

#include "base/encodings/item_kernel.h"
#include "base/replay/predictor.h"
#include "base/replay/rules.h"
#include "gpu/transform_plan.h"
#include "tests/bench/gpu/rows.h"
#include "tests/bench/gpu/tiled.h"

namespace cairn::gpu {

namespace {

constexpr uint64_t kChunkBytes = 64 * kKiB;
constexpr uint64_t kStagedBytes = 64 * kMiB;

/// Of items: little beside the buffers, and many times what a cache holds.
uint64_t item_bytes_of(const BenchData& data) { return data.buffer_bytes / 8; }

/// Flips some of the three lowest bits of 5 % of the items; which and how, their numbers tell.
template <class U>
void change_some(MutableBytes items, uint64_t first) {
  for (uint64_t i = 0; i < items.size() / sizeof(U); ++i) {
    const uint64_t drawn = (first + i) * 0x9e3779b97f4a7c15 ^ 0xd1b54a32d192ed03;
    const uint64_t mixed = (drawn ^ drawn >> 29) * 0xbf58476d1ce4e5b9 >> 32;
    if (mixed % 20 != 0) continue;
    const auto flipped = static_cast<U>(1 + mixed / 20 % 7);
    store_le(items, i * sizeof(U), static_cast<U>(load_le<U>(items, i * sizeof(U)) ^ flipped));
  }
}

using Change = std::function<void(MutableBytes part, uint64_t offset)>;

/// Writes to `to` what `change` makes of the bytes at `from`, on the host.
Status copy_changed(const uint8_t* from, uint8_t* to, uint64_t bytes, const Change& change) {
  Bytes staged(std::min(bytes, kStagedBytes));
  for (uint64_t at = 0; at < bytes; at += staged.size()) {
    const auto part = MutableBytes(staged).first(std::min<uint64_t>(staged.size(), bytes - at));
    CAIRN_CHECK(copy_down({}, part, from + at));
    CAIRN_CHECK(synchronize({}));
    change(part, at);
    CAIRN_CHECK(copy_up({}, to + at, part));
  }
  return synchronize({});
}

Result<Bytes> content_of(const uint8_t* at, uint64_t bytes) {
  Bytes content(bytes);
  CAIRN_CHECK(copy_down({}, content, at));
  CAIRN_CHECK(synchronize({}));
  return content;
}

/// What a transform writes and reads beside items.
struct Coded {
  DeviceMemory coded, runs, slab, state;

  /// With a slab of an eighth of the items, which is more than changes take.
  static Result<Coded> make(const TransformPlan& plan) {
    Coded made;
    CAIRN_TRY(made.coded, DeviceMemory::allocate(plan.coded_bytes()));
    CAIRN_TRY(made.state, DeviceMemory::allocate(sizeof(TransformState)));
    CAIRN_CHECK(fill_zeros({}, made.state.data(), made.state.size()));
    if (plan.runs_bytes() == 0) return made;
    CAIRN_TRY(made.runs, DeviceMemory::allocate(plan.runs_bytes()));
    CAIRN_TRY(made.slab, DeviceMemory::allocate(plan.slab_bytes_most() / 8));
    return made;
  }
  CodedSpans spans() const { return {coded.span(), runs.span(), slab.span(), state.span()}; }
  /// Errors: kFailed when the slab was too small or something did not fit.
  Result<TransformState> sound_state() const {
    TransformState now;
    CAIRN_TRY(const Bytes content, content_of(state.data(), sizeof now));
    std::memcpy(&now, content.data(), sizeof now);
    if (now.slab_bytes <= slab.size() && now.damaged == 0) return now;
    return fail(Code::kFailed, fmt::format("{} bytes asked for in a slab of {}, damaged: {}",
                                           now.slab_bytes, slab.size(), now.damaged));
  }
};

/// A plan of chunks of one turn, on the device.
struct Planned {
  std::vector<TransformChunk> chunks;
  TransformPlan plan;
  DeviceMemory image;

  static Result<Planned> make(Transform transform, uint64_t bytes, uint8_t* items,
                              std::span<uint8_t* const> bases) {
    Planned made;
    const uint64_t item_bytes = transform.form.bytes;
    for (uint64_t at = 0; at + kChunkBytes <= bytes; at += kChunkBytes) {
      TransformChunk chunk{items + at, kChunkBytes / item_bytes};
      for (size_t i = 0; i < bases.size(); ++i) chunk.bases[i] = bases[i] + at;
      made.chunks.push_back(chunk);
    }
    CAIRN_TRY(made.plan, TransformPlan::make(std::move(transform), made.chunks));
    CAIRN_TRY(made.image, DeviceMemory::allocate(made.plan.image().size()));
    CAIRN_CHECK(copy_up({}, made.image.data(), made.plan.image()));
    return made;
  }
};

/// Weights in BF16 against those of before, of which 5 % were others.
class EncodeChanged final : public Operation {
 public:
  static Prepared prepare(const BenchData& data, Coding coding) {
    auto made = std::make_unique<EncodeChanged>();
    made->coding_ = coding;
    made->bytes_ = item_bytes_of(data);
    for (const DeviceMemory& buffer : data.buffers) {
      Part part;
      CAIRN_TRY(part.base, DeviceMemory::allocate(made->bytes_));
      CAIRN_CHECK(copy_changed(buffer.data(), part.base.data(), made->bytes_,
                               [](MutableBytes items, uint64_t offset) {
                                 change_some<uint16_t>(items, offset / sizeof(uint16_t));
                               }));
      uint8_t* const bases[] = {part.base.data()};
      CAIRN_TRY(part.planned, Planned::make({Prediction::kDifference, coding, kForm}, made->bytes_,
                                            buffer.data(), bases));
      made->parts_.push_back(std::move(part));
    }
    CAIRN_TRY(made->coded_, Coded::make(made->parts_.front().planned.plan));
    return made;
  }

  Status enqueue(Stream stream, size_t turn) override {
    const Planned& planned = of_turn(turn);
    if (coding_ != Coding::kPlanes) {
      CAIRN_CHECK(fill_zeros(stream, coded_.state.data(), coded_.state.size()));
    }
    return encode(stream, planned.plan, planned.image.span(), coded_.spans());
  }

  Status check(size_t turn) override {
    CAIRN_CHECK(coded_.sound_state());
    const Planned& planned = of_turn(turn);
    for (const uint64_t i : sample_of(planned.chunks.size(), 64)) {
      const TransformChunk& chunk = planned.chunks[i];
      CAIRN_TRY(const Bytes items, content_of(chunk.items, kChunkBytes));
      CAIRN_TRY(const Bytes base, content_of(chunk.bases[0], kChunkBytes));
      Bytes residuals(kChunkBytes);
      item_kernel().subtract(items.data(), base.data(), kItems, kForm.bytes, kForm.is_float,
                             residuals.data());
      CAIRN_TRY(const bool is_equal, coding_ == Coding::kPlanes
                                         ? has_planes(planned.plan, i, residuals)
                                         : has_sparse(planned.plan, i, residuals));
      if (!is_equal) return fail(Code::kFailed, fmt::format("chunk {} is coded otherwise", i));
    }
    return {};
  }

  /// Items and base; the planes too where they are counted.
  uint64_t counted_bytes() const override { return (coding_ == Coding::kPlanes ? 3 : 2) * bytes_; }

 private:
  static constexpr ItemForm kForm{2, true};
  static constexpr uint64_t kItems = kChunkBytes / kForm.bytes;

  struct Part {
    DeviceMemory base;
    Planned planned;
  };

  const Planned& of_turn(size_t turn) const { return parts_[turn % parts_.size()].planned; }

  Result<bool> has_planes(const TransformPlan& plan, uint64_t chunk, const Bytes& residuals) const {
    static_assert(kItems <= 65536);  // one block of the format
    Bytes planes(kChunkBytes);
    item_kernel().split(residuals.data(), kItems, kForm.bytes, planes.data(), kItems);
    CAIRN_TRY(const Bytes found,
              content_of(coded_.coded.data() + plan.coded_offset(chunk), kChunkBytes));
    return found == planes;
  }

  /// A bit for each item that is another, and these, tile by tile.
  Result<bool> has_sparse(const TransformPlan& plan, uint64_t chunk, const Bytes& residuals) const {
    CAIRN_TRY(const Bytes bits,
              content_of(coded_.coded.data() + plan.coded_offset(chunk), kItems / 8));
    for (uint64_t i = 0, tile = plan.first_tile(chunk); i < kItems; ++tile) {
      EscapedRun run;
      CAIRN_TRY(const Bytes record, content_of(coded_.runs.data() + sizeof run * tile, sizeof run));
      std::memcpy(&run, record.data(), sizeof run);
      CAIRN_TRY(const Bytes found, content_of(coded_.slab.data() + run.offset,
                                              sizeof(uint16_t) * std::min(run.count, kItems)));
      Bytes others;
      for (const uint64_t end = i + plan.tile_items(); i < end; ++i) {
        const auto residual = load_le<uint16_t>(residuals, i * sizeof(uint16_t));
        if ((bits[i / 8] >> i % 8 & 1) != (residual != 0 ? 1 : 0)) return false;
        if (residual != 0) append_le(others, static_cast<uint16_t>(residual - 1));
      }
      if (found != others) return false;
    }
    return true;
  }

  Coding coding_ = Coding::kPlanes;
  std::vector<Part> parts_;
  Coded coded_;
  uint64_t bytes_ = 0;
};

/// Parameters in F32 from a step of torch's AdamW and quads: 5 % are not as predicted.
class DecodeReplay final : public Operation {
 public:
  static Prepared prepare(const BenchData& data) {
    auto made = std::make_unique<DecodeReplay>();
    made->bytes_ = item_bytes_of(data);
    CAIRN_TRY(made->items_, DeviceMemory::allocate(made->bytes_));
    CAIRN_TRY(made->second_, DeviceMemory::allocate(made->bytes_));
    CAIRN_CHECK(copy_changed(data.buffers.front().data(), made->second_.data(), made->bytes_,
                             [](MutableBytes part, uint64_t) { square(part); }));
    for (const DeviceMemory& buffer : data.buffers) CAIRN_CHECK(made->add(buffer.data()));
    // Items of the turn before, or none, would be found.
    CAIRN_CHECK(fill_zeros({}, made->items_.data(), made->bytes_));
    return made;
  }

  Status enqueue(Stream stream, size_t turn) override {
    const Part& part = of_turn(turn);
    return decode(stream, part.planned.plan, part.planned.image.span(), part.coded.spans());
  }

  Status check(size_t turn) override {
    const Part& part = of_turn(turn);
    CAIRN_CHECK(part.coded.sound_state());
    for (const uint64_t i : sample_of(part.planned.chunks.size(), 64)) {
      const TransformChunk& chunk = part.planned.chunks[i];
      Bytes bases[3];
      for (size_t base = 0; base < 3; ++base) {
        CAIRN_TRY(bases[base], content_of(chunk.bases[base], kChunkBytes));
      }
      const ByteSpan inputs[] = {bases[0], bases[1], bases[2]};
      Bytes expected(kChunkBytes);
      Predictor(step_of_adamw()).predict(inputs, 0, expected);
      change_some<uint32_t>(expected, i * kItems);
      CAIRN_TRY(const Bytes found, content_of(chunk.items, kChunkBytes));
      if (found != expected) return fail(Code::kFailed, fmt::format("chunk {} is another", i));
    }
    return {};
  }

  /// Bases, codes and slab, and the items.
  uint64_t counted_bytes() const override {
    const Part& part = parts_.front();
    return 3 * bytes_ + part.planned.plan.coded_bytes() + part.slab_bytes + bytes_;
  }

 private:
  static constexpr uint64_t kItems = kChunkBytes / sizeof(float);

  struct Part {
    Planned planned;
    Coded coded;
    uint64_t slab_bytes = 0;  ///< that its chunks take of the slab
  };

  const Part& of_turn(size_t turn) const { return parts_[turn % parts_.size()]; }

  /// Scalars s, r, e, d of docs/FORMAT.md, section 7.4: of step 50 with torch's usual numbers.
  static ReplayParameters step_of_adamw() {
    constexpr double kLr = 1e-3, kBias1 = 0.99484622, kBias2 = 0.04879023, kDecay = 0.01;
    ReplayParameters step{ReplayRule::kAdamParameter,
                          kDecayFactor | kStepProduct << 2,
                          ReplayDtype::kF32,
                          {ReplayDtype::kF32, ReplayDtype::kF32, ReplayDtype::kF32},
                          {}};
    for (const double scalar : {kLr / kBias1, std::sqrt(kBias2), 1e-8, 1 - kLr * kDecay}) {
      step.scalars.push_back(std::bit_cast<uint32_t>(static_cast<float>(scalar)));
    }
    return step;
  }

  static void square(MutableBytes floats) {
    for (size_t at = 0; at < floats.size(); at += sizeof(float)) {
      const auto value = load_le<float>(floats, at);
      store_le(floats, at, value * value);
    }
  }

  /// Weights and first moments are two pieces of the buffer; any two BF16 are an F32.
  Status add(uint8_t* buffer) {
    Part part;
    uint8_t* const bases[] = {buffer, buffer + bytes_, second_.data()};
    Transform transform{Prediction::kReplay, Coding::kQuads, {sizeof(float), true}};
    transform.programs = {step_of_adamw()};
    CAIRN_TRY(part.planned, Planned::make(std::move(transform), bytes_, items_.data(), bases));
    CAIRN_TRY(part.coded, Coded::make(part.planned.plan));
    // Where all residuals are 0 items are as predicted.
    const Coded& coded = part.coded;
    CAIRN_CHECK(fill_zeros({}, coded.coded.data(), coded.coded.size()));
    CAIRN_CHECK(fill_zeros({}, coded.runs.data(), coded.runs.size()));
    const DeviceSpan image = part.planned.image.span();
    CAIRN_CHECK(decode({}, part.planned.plan, image, coded.spans()));
    CAIRN_CHECK(
        copy_changed(items_.data(), items_.data(), bytes_, [](MutableBytes items, uint64_t offset) {
          change_some<uint32_t>(items, offset / sizeof(float));
        }));
    CAIRN_CHECK(encode({}, part.planned.plan, image, coded.spans()));
    CAIRN_TRY(const TransformState state, coded.sound_state());
    part.slab_bytes = state.slab_bytes;
    parts_.push_back(std::move(part));
    return {};
  }

  DeviceMemory items_, second_;
  std::vector<Part> parts_;
  uint64_t bytes_ = 0;
};

}  // namespace

Prepared difference_to_planes(const BenchData& data) {
  return EncodeChanged::prepare(data, Coding::kPlanes);
}
Prepared compact_sparse(const BenchData& data) {
  return EncodeChanged::prepare(data, Coding::kSparse);
}
Prepared replay_adamw(const BenchData& data) { return DecodeReplay::prepare(data); }

}  // namespace cairn::gpu
