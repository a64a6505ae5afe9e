// Parameter blocks of encoding 7 (docs/FORMAT.md, section 7.3).
#include "base/replay/replay.h"
#include "base/replay/rules.h"

namespace cairn {
namespace {

constexpr size_t kHeadBytes = 4;

ItemForm form_of(ReplayDtype dtype) {
  return {static_cast<uint8_t>(dtype == ReplayDtype::kF32 ? 4 : 2), true};
}

}  // namespace

Bytes encode_replay_parameters(const ReplayParameters& parameters) {
  Bytes bytes;
  // The form says two bytes of BF16 and of F16; which of them takes the two highest bits of the
  // bases' dtypes.
  uint8_t dtypes = static_cast<uint8_t>(static_cast<uint8_t>(parameters.result) << 6);
  for (size_t i = 0; i < parameters.bases.size(); ++i) {
    dtypes = static_cast<uint8_t>(dtypes | static_cast<uint8_t>(parameters.bases[i]) << 2 * i);
  }
  bytes.push_back(encode_item_form(form_of(parameters.result)));
  bytes.push_back(static_cast<uint8_t>(parameters.rule));
  bytes.push_back(parameters.variant);
  bytes.push_back(dtypes);
  for (const uint32_t scalar : parameters.scalars) append_le(bytes, scalar);
  return bytes;
}

Result<ReplayParameters> decode_replay_parameters(ByteSpan bytes) {
  if (bytes.size() < kHeadBytes || bytes.size() % 4 != 0) {
    return fail(Code::kCorrupt, "parameters of a replay have an impossible length");
  }
  ReplayParameters parameters;
  parameters.rule = static_cast<ReplayRule>(bytes[1]);
  parameters.variant = bytes[2];
  const auto program = replay_program(parameters.rule, parameters.variant);
  const auto form = decode_item_form(bytes[0]);
  if (!program || !form || (bytes[3] & 3) == 3 || (bytes[3] & 12) == 12 || (bytes[3] & 48) == 48 ||
      (bytes[3] & 192) == 192) {
    return fail(Code::kNewerFormat, "a replay of a rule that this version does not know",
                "upgrade cairn");
  }
  parameters.result = static_cast<ReplayDtype>(bytes[3] >> 6);
  for (size_t i = 0; i < parameters.bases.size(); ++i) {
    parameters.bases[i] = static_cast<ReplayDtype>(bytes[3] >> 2 * i & 3);
  }
  if (*form != form_of(parameters.result)) {
    return fail(Code::kCorrupt, "a replay of items of another form than its dtype");
  }
  if (bytes.size() != kHeadBytes + 4 * program->words()) {
    return fail(Code::kCorrupt, "a replay with more or fewer numbers than its rule has");
  }
  for (size_t at = kHeadBytes; at < bytes.size(); at += 4) {
    parameters.scalars.push_back(load_le<uint32_t>(bytes, at));
  }
  return parameters;
}

}  // namespace cairn
