// The C ABI: digests of boxes that are not saved.
#include <algorithm>

#include "lib/box_digest.h"
#include "lib/c_abi.h"

namespace cairn::c_abi {

static Sampling sampling_of(const cairn_sampling* given) {
  if (given == nullptr) return {};
  const auto sampling = grown<cairn_sampling>(given, given->struct_bytes);
  return {sampling.bytes, sampling.turn};
}

static Result<std::vector<TensorSource>> sources_of(const cairn_tensor* tensors, size_t count,
                                                    size_t tensor_bytes) {
  CAIRN_TRY(const auto given, tensors_of(tensors, count, tensor_bytes));
  return places_of<TensorSource>(given);
}

}  // namespace cairn::c_abi

extern "C" {

cairn_status cairn_digest(const cairn_tensor* tensors, size_t count, size_t tensor_bytes,
                          const cairn_sampling* sampling, uint32_t threads, cairn_watch* watch,
                          uint8_t* digests) {
  return cairn::c_abi::run([&]() -> cairn::Status {
    CAIRN_TRY(const auto sources, cairn::c_abi::sources_of(tensors, count, tensor_bytes));
    CAIRN_TRY(const auto made, cairn::box_digests(sources, cairn::c_abi::sampling_of(sampling),
                                                  cairn::c_abi::call_of(threads, watch)));
    for (const cairn::Digest& digest : made) {
      digests = std::copy(digest.bytes.begin(), digest.bytes.end(), digests);
    }
    return {};
  });
}

cairn_status cairn_sampled_box(const cairn_tensor* tensor, size_t tensor_bytes,
                               const cairn_sampling* sampling, uint64_t* offsets,
                               uint64_t* lengths) {
  return cairn::c_abi::run([&]() -> cairn::Status {
    CAIRN_TRY(const auto sources, cairn::c_abi::sources_of(tensor, 1, tensor_bytes));
    CAIRN_TRY(const cairn::Box box,
              cairn::sampled_box(sources[0], cairn::c_abi::sampling_of(sampling)));
    std::copy(box.offsets.begin(), box.offsets.end(), offsets);
    std::copy(box.lengths.begin(), box.lengths.end(), lengths);
    return {};
  });
}
}
