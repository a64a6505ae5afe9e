#include "lib/box_digest.h"

#include <fmt/format.h>

#include "base/buffer.h"
#include "base/pipeline.h"
#include "base/stop.h"
#include "lib/save_plan.h"
#include "lib/stretches.h"
#include "lib/strided.h"

namespace cairn {

/// Bytes that are put in order at once.
static constexpr uint64_t kRoomBytes = kMiB;

Result<Box> sampled_box(const TensorSource& source, const Sampling& sampling) {
  CAIRN_CHECK(check_box(source.box, source.shape));
  const uint32_t bits = bits_per_element(source.dtype);
  if (sampling.bytes == 0 || bits < 8) return source.box;
  const Stretches stretches(source.box, bits / 8, sampling.bytes);
  if (stretches.count() == 0) return source.box;
  return stretches.at(stretch_of_turn(sampling.turn, stretches.count()));
}

/// Of a box in storage coordinates that lies within the memory's.
static Digest digest_of(const SourceBox& memory, const Box& box, uint64_t item_bytes) {
  const StridedSource at =
      sub_box(StridedSource{memory.data, memory.strides_bytes}, memory.box, box);
  if (const auto rows = as_rows(at.strides_bytes, box.lengths, item_bytes)) {
    return blake3_rows(at.data, rows->row_bytes, rows->stride_bytes, rows->rows);
  }
  thread_local AlignedBuffer room;
  Blake3 digest;
  const Stretches parts(box, item_bytes, kRoomBytes);
  for (uint64_t number = 0; number < parts.count(); ++number) {
    const Box part = parts.at(number);
    const uint64_t bytes = part.elements() * item_bytes;
    if (room.size() < bytes) room = AlignedBuffer(bytes);
    copy_box(sub_box(at, box, part),
             StridedTarget{room.data(), contiguous_strides(part.lengths, item_bytes)}, part.lengths,
             item_bytes);
    digest.update(room.span().first(bytes));
  }
  return digest.finish();
}

static Result<Digest> digest_of(const TensorSource& source, const Sampling& sampling) {
  CAIRN_TRY(const StorageForm form, storage_form(source.dtype, source.shape));
  CAIRN_TRY(const Box wanted, sampled_box(source, sampling));
  CAIRN_TRY(const Box box, storage_box(form, source.shape, wanted));
  CAIRN_TRY(const SourceBox memory, source_box(form, source));
  if (memory.data == nullptr && !box.is_empty()) return fail(Code::kUsage, "it has no data");
  if (source.device) {
    return fail(Code::kUsage, fmt::format("it is on device {}", *source.device),
                "digest what is in the host's memory");
  }
  return digest_of(memory, box, form.item_bytes);
}

Result<std::vector<Digest>> box_digests(std::span<const TensorSource> sources,
                                        const Sampling& sampling, const CallOptions& call) {
  std::vector<Digest> digests(sources.size());
  const Status digested = parallel_for(sources.size(), call.threads, [&](uint64_t i) -> Status {
    CAIRN_CHECK(unless_stopped(call.stop, "the call"));
    const auto digest = digest_of(sources[i], sampling);
    if (!digest) {
      return fail(digest.error().code,
                  fmt::format("tensor '{}': {}", sources[i].name, digest.error().message));
    }
    digests[i] = *digest;
    return {};
  });
  CAIRN_CHECK(digested);
  return digests;
}

}  // namespace cairn
