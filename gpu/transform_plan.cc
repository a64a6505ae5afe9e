#include "gpu/transform_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/replay/gradient_guess.h"
#include "base/replay/rules.h"
#include "gpu/transform_work.h"

namespace cairn::gpu {

static unsigned code_bits(Coding coding, unsigned item_bytes) {
  return coding == Coding::kPlanes ? 8 * item_bytes : coding == Coding::kQuads ? 2 : 1;
}

static bool is_known(ReplayDtype dtype) { return dtype <= ReplayDtype::kF16; }

static Status check_program(const ReplayParameters& parameters, unsigned item_width, size_t i) {
  const auto program = replay_program(parameters.rule, parameters.variant);
  if (!program) {
    return fail(Code::kUsage, fmt::format("program {}: rule {} has no variant {}", i,
                                          static_cast<int>(parameters.rule), parameters.variant));
  }
  if (parameters.scalars.size() != program->words()) {
    return fail(Code::kUsage, fmt::format("program {}: {} scalars instead of {}", i,
                                          parameters.scalars.size(), program->words()));
  }
  bool knows_dtypes = is_known(parameters.result);
  for (size_t base = 0; base < program->bases; ++base) {
    knows_dtypes = knows_dtypes && is_known(parameters.bases[base]);
  }
  if (!knows_dtypes) return fail(Code::kUsage, fmt::format("program {}: an unknown dtype", i));
  if (item_bytes(parameters.result) != item_width) {
    return fail(Code::kUsage, fmt::format("program {} makes items of {} bytes, the plan is for {}",
                                          i, item_bytes(parameters.result), item_width));
  }
  return {};
}

static Status check_transform(const Transform& transform) {
  const unsigned bytes = transform.form.bytes;
  if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8) {
    return fail(Code::kUsage, fmt::format("items of {} bytes", bytes));
  }
  if (transform.prediction > Prediction::kReplay || transform.coding > Coding::kQuads) {
    return fail(Code::kUsage, fmt::format("prediction {}, coding {}: one is not known",
                                          static_cast<int>(transform.prediction),
                                          static_cast<int>(transform.coding)));
  }
  const bool makes_floats =
      transform.prediction == Prediction::kDerived || transform.prediction == Prediction::kReplay;
  if (makes_floats && !transform.form.is_float) {
    return fail(Code::kUsage, "casts and programs make floats, the plan is for integers");
  }
  if (transform.prediction == Prediction::kDerived) {
    if (!is_known(transform.cast) || target_bytes(transform.cast) != bytes) {
      return fail(Code::kUsage, fmt::format("the cast {} to items of {} bytes",
                                            static_cast<int>(transform.cast), bytes));
    }
  }
  if (transform.prediction == Prediction::kReplay) {
    for (size_t i = 0; i < transform.programs.size(); ++i) {
      CAIRN_CHECK(check_program(transform.programs[i], bytes, i));
    }
  }
  return {};
}

static Status check_memory(const void* memory, const char* what, size_t chunk) {
  if (memory == nullptr) return fail(Code::kUsage, fmt::format("chunk {} has no {}", chunk, what));
  if (reinterpret_cast<uintptr_t>(memory) % 16 == 0) return {};
  return fail(Code::kUsage, fmt::format("chunk {}: its {} at {}, which is no multiple of 16", chunk,
                                        what, fmt::ptr(memory)));
}

/// Bases that the prediction takes, and whether it takes a gradient.
struct Taken {
  size_t bases = 0;
  bool gradient = false;
};
static Result<Taken> taken_by(const Transform& transform, const TransformChunk& chunk, size_t i) {
  if (transform.prediction == Prediction::kItself) return Taken{};
  if (transform.prediction != Prediction::kReplay) return Taken{1};
  if (chunk.program >= transform.programs.size()) {
    return fail(Code::kUsage, fmt::format("chunk {} has program {} of {}", i, chunk.program,
                                          transform.programs.size()));
  }
  const ReplayParameters& parameters = transform.programs[chunk.program];
  const auto program = replay_program(parameters.rule, parameters.variant);
  return Taken{program->bases, program->has_gradient};
}

/// Checks a chunk and gives it its tiles and its place among the coded bytes.
Status TransformPlan::add(const TransformChunk& chunk, size_t number) {
  const unsigned item_bytes = transform_.form.bytes;
  if (chunk.count > kTileBytesMost / item_bytes ||
      (items_ + chunk.count) > kTileBytesMost / item_bytes) {
    return fail(Code::kUsage, fmt::format("chunk {} of {} items of {} bytes: more bytes than one "
                                          "plan takes: 2^50",
                                          number, chunk.count, item_bytes));
  }
  if (chunk.count > 0) {
    CAIRN_TRY(const Taken taken, taken_by(transform_, chunk, number));
    CAIRN_CHECK(check_memory(chunk.items, "items", number));
    for (size_t i = 0; i < taken.bases; ++i) {
      CAIRN_CHECK(check_memory(chunk.bases[i], "base", number));
    }
    if (taken.gradient) CAIRN_CHECK(check_memory(chunk.gradient, "gradient", number));
    has_gradients_ = has_gradients_ || taken.gradient;
  }
  const uint64_t coded = chunk.coded.value_or(coded_bytes_);
  if (coded % 16 != 0 || coded > kTileBytesMost) {
    return fail(Code::kUsage,
                fmt::format("chunk {}: its codes at {}, which is no multiple of 16 up to 2^50",
                            number, coded));
  }
  const uint64_t bits = code_bits(transform_.coding, item_bytes);
  first_tiles_.push_back(tiles_);
  coded_offsets_.push_back(coded);
  items_ += chunk.count;
  tiles_ += ceil_div(chunk.count, tile_items());
  coded_bytes_ = std::max(coded_bytes_, coded + ceil_div(chunk.count * bits, uint64_t{128}) * 16);
  return {};
}

static ChunkRecord chunk_record(const Transform& transform, const TransformChunk& chunk,
                                uint64_t coded) {
  ChunkRecord record{chunk.items, {}, chunk.count, coded, chunk.program};
  for (size_t i = 0; i < kInputRegisters; ++i)
    record.inputs.of[i] = const_cast<uint8_t*>(chunk.bases[i]);
  if (transform.prediction == Prediction::kReplay && chunk.count > 0) {
    const ReplayParameters& parameters = transform.programs[chunk.program];
    const auto program = replay_program(parameters.rule, parameters.variant);
    if (program->has_gradient) record.inputs.of[program->bases] = chunk.gradient;
  }
  return record;
}

template <class T>
static void append_record(Bytes& image, const T& record) {
  append_bytes(image, as_bytes(&record, sizeof record));
}

/// Chunks, programs, what guesses their gradients, first tiles.
void TransformPlan::make_image(std::span<const TransformChunk> chunks) {
  for (size_t i = 0; i < chunks.size(); ++i) {
    append_record(image_, chunk_record(transform_, chunks[i], coded_offsets_[i]));
  }
  image_.resize(ceil_div(image_.size(), size_t{16}) * 16);
  programs_at_ = image_.size();
  for (const ReplayParameters& parameters : transform_.programs) {
    const auto program = replay_program(parameters.rule, parameters.variant);
    append_record(image_, program_record(parameters, *program, ProgramPlace::kFirst));
  }
  for (const ReplayParameters& parameters : transform_.programs) {
    ProgramRecord guesser{};
    if (replay_program(parameters.rule, parameters.variant)->has_gradient) {
      const Predictor guesses = gradient_guesser(parameters);
      guesser = program_record(guesses.parameters(), guesses.program(), ProgramPlace::kSecond);
    }
    append_record(image_, guesser);
  }
  first_tiles_at_ = image_.size();
  for (const uint64_t first : first_tiles_) append_le(image_, first);
}

Result<TransformPlan> TransformPlan::make(Transform transform,
                                          std::span<const TransformChunk> chunks) {
  CAIRN_CHECK(check_transform(transform));
  TransformPlan plan;
  plan.transform_ = std::move(transform);
  if (plan.transform_.prediction != Prediction::kReplay) plan.transform_.programs.clear();
  for (size_t i = 0; i < chunks.size(); ++i) CAIRN_CHECK(plan.add(chunks[i], i));
  plan.first_tiles_.push_back(plan.tiles_);
  plan.make_image(chunks);
  return plan;
}

uint64_t TransformPlan::image_bytes(uint64_t chunks) {
  return round_up(sizeof(ChunkRecord) * chunks, 16) + sizeof(uint64_t) * (chunks + 1);
}

uint64_t TransformPlan::tile_items() const { return kTileBytes / transform_.form.bytes; }

uint64_t TransformPlan::runs_bytes() const {
  return transform_.coding == Coding::kPlanes ? 0 : sizeof(EscapedRun) * tiles_;
}

uint64_t TransformPlan::slab_bytes_most() const {
  return transform_.coding == Coding::kPlanes ? 0 : uint64_t{kTileBytes} * tiles_;
}

}  // namespace cairn::gpu
