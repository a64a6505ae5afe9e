// Encoding 7: corrections to what the rule predicts, after the gradient where the rule needs one.
#include "base/replay/replay.h"

#include <algorithm>
#include <array>

#include "base/replay/float_environment.h"
#include "base/replay/gradient.h"
#include "base/replay/predictor.h"

namespace cairn {
namespace {

using Inputs = std::array<ByteSpan, 4>;

ItemForm form_of(const ReplayParameters& parameters) {
  return {static_cast<uint8_t>(item_bytes(parameters.result)), true};
}

Predict prediction(const Predictor& predictor, const Inputs& inputs) {
  return [&predictor, &inputs](size_t first, MutableBytes out) {
    predictor.predict(std::span(inputs).first(predictor.inputs()), first, out);
  };
}

void append_gradient(ByteSpan gradient, Effort effort, Bytes& stored) {
  const size_t begin = stored.size();
  append_le(stored, uint32_t{0});
  for (size_t at = 0; at < gradient.size(); at += 2 * kBlockItems) {
    append_items(gradient.subspan(at, std::min(2 * kBlockItems, gradient.size() - at)), 2, effort,
                 stored);
  }
  store_le(MutableBytes(stored), begin, static_cast<uint32_t>(stored.size() - begin - 4));
}

/// Takes the gradient's part off the front of `stored`.
Status read_gradient(ByteSpan& stored, MutableBytes gradient) {
  if (stored.size() < 4 || stored.size() - 4 < load_le<uint32_t>(stored)) {
    return fail(Code::kCorrupt, "a replay ends within its gradient");
  }
  ByteSpan part = stored.subspan(4, load_le<uint32_t>(stored));
  stored = stored.subspan(4 + part.size());
  for (size_t at = 0; at < gradient.size(); at += 2 * kBlockItems) {
    const size_t bytes = std::min(2 * kBlockItems, gradient.size() - at);
    CAIRN_CHECK(read_items(part, 2, gradient.subspan(at, bytes)));
  }
  if (!part.empty()) return fail(Code::kCorrupt, "a replay has more gradient than items");
  return {};
}

Status check_sizes(const ReplayParameters& parameters, const Predictor& predictor,
                   std::span<const ByteSpan> bases, size_t out_bytes) {
  if (out_bytes == 0 || out_bytes % item_bytes(parameters.result) != 0) {
    return fail(Code::kCorrupt, "a replay of a part of an item");
  }
  const size_t items = out_bytes / item_bytes(parameters.result);
  if (bases.size() != predictor.program().bases) {
    return fail(Code::kCorrupt, "a replay with more or fewer bases than its rule has");
  }
  for (size_t i = 0; i < bases.size(); ++i) {
    if (bases[i].size() % item_bytes(parameters.bases[i]) != 0 ||
        bases[i].size() / item_bytes(parameters.bases[i]) != items) {
      return fail(Code::kCorrupt, "a replay from a base of another length");
    }
  }
  return {};
}

}  // namespace

bool has_gradient(const ReplayParameters& parameters) {
  return Predictor(parameters).program().has_gradient;
}

Status predict_replay(const ReplayParameters& parameters, std::span<const ByteSpan> bases,
                      ByteSpan gradient, MutableBytes out) {
  const PlainFloats plain;
  const Predictor predictor(parameters);
  CAIRN_CHECK(check_sizes(parameters, predictor, bases, out.size()));
  Inputs inputs{};
  std::copy_n(bases.begin(), predictor.program().bases, inputs.begin());
  if (predictor.program().has_gradient) {
    if (gradient.size() != out.size() / item_bytes(parameters.result) * 2) {
      return fail(Code::kCorrupt, "a replay with a gradient of another length");
    }
    inputs[predictor.program().bases] = gradient;
  }
  predictor.predict(std::span(inputs).first(predictor.inputs()), 0, out);
  return {};
}

Encoded encode_replay(const ReplayParameters& parameters, ByteSpan items,
                      std::span<const ByteSpan> bases, Effort effort) {
  const PlainFloats plain;  // also where a gradient is looked for
  Encoded encoded;
  encoded.encoding = Encoding::kReplay;
  encoded.parameters = encode_replay_parameters(parameters);
  const Predictor predictor(parameters);
  Inputs inputs{};
  std::copy_n(bases.begin(), predictor.program().bases, inputs.begin());
  Bytes gradient;
  if (predictor.program().has_gradient) {
    gradient = find_gradient(predictor, parameters, items, bases);
    append_gradient(gradient, effort, encoded.stored);
    inputs[predictor.program().bases] = gradient;
  }
  append_corrections(items, prediction(predictor, inputs), form_of(parameters), effort,
                     encoded.stored);
  return encoded;
}

Status decode_replay(ByteSpan parameter_bytes, ByteSpan stored, std::span<const ByteSpan> bases,
                     MutableBytes out) {
  CAIRN_TRY(const ReplayParameters parameters, decode_replay_parameters(parameter_bytes));
  const Predictor predictor(parameters);
  CAIRN_CHECK(check_sizes(parameters, predictor, bases, out.size()));
  Inputs inputs{};
  std::copy_n(bases.begin(), predictor.program().bases, inputs.begin());
  Bytes gradient;
  if (predictor.program().has_gradient) {
    gradient.resize(out.size() / item_bytes(parameters.result) * 2);
    CAIRN_CHECK(read_gradient(stored, gradient));
    inputs[predictor.program().bases] = gradient;
  }
  return read_corrections(stored, prediction(predictor, inputs), form_of(parameters), out);
}

}  // namespace cairn
