// What tests of transforms share: chunks on the host beside the same on the device, and what
// base/encodings and base/replay make of them.
#pragma once

#include <algorithm>

#include "base/encodings/item_kernel.h"
#include "base/replay/predictor.h"
#include "gpu/transform_plan.h"
#include "gpu/transform_work.h"
#include "tests/base/encodings/item_samples.h"
#include "tests/gpu/kernel_fixture.h"

namespace cairn::gpu {

struct HostChunk {
  Bytes items;
  std::vector<Bytes> bases;
  Bytes gradient = {};
  uint32_t program = 0;
};

/// Chunks in one piece of device memory, with bytes between them that nobody may write to.
class ChunksOnDevice {
 public:
  ChunksOnDevice(std::span<const HostChunk> chunks, unsigned item_bytes) : memory_(place(chunks)) {
    size_t next = 0;
    for (const HostChunk& chunk : chunks) {
      TransformChunk to{memory_.data() + places_[next++], chunk.items.size() / item_bytes};
      for (size_t i = 0; i < chunk.bases.size(); ++i) {
        to.bases[i] = memory_.data() + places_[next++];
      }
      to.gradient = memory_.data() + places_[next++];
      to.program = chunk.program;
      chunks_.push_back(to);
    }
  }

  std::span<TransformChunk> chunks() { return chunks_; }
  Bytes content() const { return memory_.content(); }
  const Bytes& first_content() const { return first_content_; }
  Bytes content(const uint8_t* at, size_t bytes) const {
    const Bytes all = content();
    const auto begin = all.begin() + (at - memory_.data());
    return {begin, begin + static_cast<ptrdiff_t>(bytes)};
  }
  /// Other bytes where the items were.
  void spoil_items(std::span<const HostChunk> chunks) {
    for (size_t i = 0; i < chunks.size(); ++i) {
      must(copy_up({}, chunks_[i].items, Bytes(chunks[i].items.size(), 0x5a)));
    }
  }

 private:
  const Bytes& place(std::span<const HostChunk> chunks) {
    const auto add = [&](const Bytes& bytes) {
      first_content_.resize((first_content_.size() + 16) / 16 * 16, 0xa5);
      places_.push_back(first_content_.size());
      append_bytes(first_content_, bytes);
    };
    for (const HostChunk& chunk : chunks) {
      add(chunk.items);
      for (const Bytes& base : chunk.bases) add(base);
      add(chunk.gradient);
    }
    first_content_.push_back(0xa5);
    return first_content_;
  }

  std::vector<size_t> places_;
  Bytes first_content_;
  OnDevice memory_;
  std::vector<TransformChunk> chunks_;
};

/// What a call leaves on the device.
struct CodedOnDevice {
  OnDevice coded, runs, slab, state;

  CodedOnDevice(const TransformPlan& plan, uint64_t slab_bytes)
      : coded(Bytes(plan.coded_bytes())),
        runs(Bytes(plan.runs_bytes())),
        slab(Bytes(slab_bytes)),
        state(Bytes(sizeof(TransformState))) {}
  explicit CodedOnDevice(const TransformPlan& plan) : CodedOnDevice(plan, plan.slab_bytes_most()) {}

  CodedSpans spans() const { return {coded.span(), runs.span(), slab.span(), state.span()}; }
  TransformState state_now() const {
    TransformState now;
    std::memcpy(&now, state.content().data(), sizeof now);
    return now;
  }
  std::vector<EscapedRun> runs_now() const {
    const Bytes bytes = runs.content();
    std::vector<EscapedRun> all(bytes.size() / sizeof(EscapedRun));
    std::memcpy(all.data(), bytes.data(), bytes.size());
    return all;
  }
};

inline Bytes expected_prediction(const Transform& transform, const HostChunk& chunk) {
  Bytes prediction(chunk.items.size());
  if (transform.prediction == Prediction::kDerived) {
    cast_items(transform.cast, chunk.bases[0], prediction);
  } else if (transform.prediction == Prediction::kReplay) {
    const Predictor predictor(transform.programs[chunk.program]);
    std::vector<ByteSpan> inputs(chunk.bases.begin(), chunk.bases.end());
    inputs.resize(predictor.program().bases);
    if (predictor.program().has_gradient) inputs.push_back(chunk.gradient);
    predictor.predict(inputs, 0, prediction);
  } else {
    prediction = chunk.bases[0];
  }
  return prediction;
}

inline Bytes expected_residuals(const Transform& transform, const HostChunk& chunk) {
  if (transform.prediction == Prediction::kItself) return chunk.items;
  const Bytes prediction = expected_prediction(transform, chunk);
  Bytes residuals(chunk.items.size());
  if (transform.prediction == Prediction::kXor) {
    std::transform(chunk.items.begin(), chunk.items.end(), prediction.begin(), residuals.begin(),
                   [](uint8_t a, uint8_t b) { return static_cast<uint8_t>(a ^ b); });
  } else {
    const unsigned bytes = transform.form.bytes;
    kItemsPortable.subtract(chunk.items.data(), prediction.data(), chunk.items.size() / bytes,
                            bytes, transform.form.is_float, residuals.data());
  }
  return residuals;
}

inline Bytes expected_planes(const Bytes& residuals, unsigned item_bytes) {
  if (item_bytes == 1) return residuals;
  Bytes planes(residuals.size());
  for (size_t at = 0; at < planes.size(); at += kBlockItems * item_bytes) {
    const size_t count = std::min(kBlockItems, (planes.size() - at) / item_bytes);
    kItemsPortable.split(residuals.data() + at, count, item_bytes, planes.data() + at, count);
  }
  return planes;
}

/// Codes, and the larger items in order.
struct Escapes {
  Bytes codes, larger;
};
inline Escapes expected_escapes(const Bytes& residuals, unsigned item_bytes, Coding coding) {
  const size_t count = residuals.size() / item_bytes;
  Escapes escapes{Bytes(ceil_div(count, coding == Coding::kQuads ? 4 : 8)),
                  Bytes(residuals.size() + kItemSlack)};
  size_t found = 0;
  if (coding == Coding::kQuads) {
    found = kItemsPortable.pack_quads(residuals.data(), count, item_bytes, escapes.codes.data(),
                                      escapes.larger.data());
  } else {
    for (size_t i = 0; i < count; ++i) {
      uint64_t item = 0;
      std::memcpy(&item, &residuals[i * item_bytes], item_bytes);
      if (item-- == 0) continue;
      escapes.codes[i / 8] |= static_cast<uint8_t>(1 << i % 8);
      std::memcpy(&escapes.larger[found++ * item_bytes], &item, item_bytes);
    }
  }
  escapes.larger.resize(found * item_bytes);
  return escapes;
}

inline Bytes part_of(const Bytes& bytes, uint64_t offset, uint64_t count) {
  const auto begin = bytes.begin() + static_cast<ptrdiff_t>(offset);
  return {begin, begin + static_cast<ptrdiff_t>(count)};
}

/// The larger items of a chunk: those of its tiles, in order.
inline Bytes larger_of(const TransformPlan& plan, size_t chunk, unsigned item_bytes,
                       std::span<const EscapedRun> runs, const Bytes& slab) {
  Bytes larger;
  for (uint64_t tile = plan.first_tile(chunk); tile < plan.first_tile(chunk + 1); ++tile) {
    append_bytes(larger, part_of(slab, runs[tile].offset, runs[tile].count * item_bytes));
  }
  return larger;
}

inline void expect_coded(const Transform& transform, std::span<const HostChunk> chunks,
                         const TransformPlan& plan, const CodedOnDevice& made) {
  const unsigned item_bytes = transform.form.bytes;
  const Bytes coded = made.coded.content(), slab = made.slab.content();
  const std::vector<EscapedRun> runs = made.runs_now();
  for (size_t i = 0; i < chunks.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "chunk " << i << " of " << chunks[i].items.size()
                                    << " bytes, program " << chunks[i].program);
    const Bytes residuals = expected_residuals(transform, chunks[i]);
    Bytes expected;
    if (transform.coding == Coding::kPlanes) {
      expected = expected_planes(residuals, item_bytes);
    } else {
      Escapes escapes = expected_escapes(residuals, item_bytes, transform.coding);
      expected = std::move(escapes.codes);
      ASSERT_EQ(larger_of(plan, i, item_bytes, runs, slab), escapes.larger);
    }
    const uint64_t end = i + 1 < chunks.size() ? plan.coded_offset(i + 1) : plan.coded_bytes();
    expected.resize(end - plan.coded_offset(i));
    ASSERT_EQ(part_of(coded, plan.coded_offset(i), expected.size()), expected);
  }
}

inline void expect_counts(const Transform& transform, std::span<const HostChunk> chunks,
                          const TransformPlan& plan, DeviceSpan image, Share share) {
  const OnDevice counts(plan.counts_bytes());
  must(count_residuals({}, plan, image, counts.span(), share));
  const Bytes content = counts.content();
  for (size_t i = 0; i < chunks.size(); ++i) {
    ChunkCounts met;
    std::memcpy(&met, content.data() + i * sizeof met, sizeof met);
    const Bytes residuals = expected_residuals(transform, chunks[i]);
    ChunkCounts expected;
    for (size_t at = 0; at < residuals.size(); at += transform.form.bytes) {
      uint64_t item = 0;
      std::memcpy(&item, &residuals[at], transform.form.bytes);
      expected.zeros += item == 0;
      expected.ones += item == 1;
      expected.twos += item == 2;
      expected.bits |= item;
    }
    ASSERT_EQ(met.zeros, expected.zeros) << i;
    ASSERT_EQ(met.ones, expected.ones) << i;
    ASSERT_EQ(met.twos, expected.twos) << i;
    ASSERT_EQ(met.bits, expected.bits) << i;
  }
}

/// Encodes, compares with the host, decodes over other items, and compares all memory.
inline void expect_round_trip(const Transform& transform, std::span<const HostChunk> chunks,
                              Share share = {}) {
  ChunksOnDevice device(chunks, transform.form.bytes);
  const TransformPlan plan = must(TransformPlan::make(transform, device.chunks()));
  const OnDevice image(plan.image());
  const CodedOnDevice made(plan);
  must(encode({}, plan, image.span(), made.spans(), share));
  ASSERT_NO_FATAL_FAILURE(expect_coded(transform, chunks, plan, made));
  ASSERT_NO_FATAL_FAILURE(expect_counts(transform, chunks, plan, image.span(), share));
  device.spoil_items(chunks);
  must(decode({}, plan, image.span(), made.spans(), share));
  ASSERT_EQ(made.state_now().damaged, 0u);
  ASSERT_EQ(device.content(), device.first_content());
}

}  // namespace cairn::gpu
