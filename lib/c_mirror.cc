// The C ABI: copies that follow a state.
#include "lib/c_abi.h"
#include "lib/mirror.h"

struct cairn_mirror {
  cairn::Mirror mirror;
};

namespace cairn::c_abi {

/// Views what the caller's request points to.
static Result<MirrorRequest> read_request(const cairn_mirror_request& given) {
  MirrorRequest request;
  CAIRN_TRY(const auto tensors, tensors_of(given.tensors, given.tensor_count, given.tensor_bytes));
  CAIRN_TRY(request.tensors, places_of<TensorSource>(tensors));
  CAIRN_CHECK(check_given(given.copies, given.tensor_count, "the copies"));
  request.copies.assign(given.copies, given.copies + given.tensor_count);
  request.call = call_of(given.threads, given.watch);
  if (given.staging != nullptr) request.devices.staging = given.staging->staging.get();
  CAIRN_TRY(request.devices.streams,
            streams_of(given.streams, given.stream_count, given.stream_bytes));
  return request;
}

static nlohmann::ordered_json told_of(const MirrorResult& result) {
  nlohmann::ordered_json told{{"bytes", result.bytes},
                              {"brought_bytes", result.brought_bytes},
                              {"elapsed_s", result.elapsed_s}};
  if (!result.notes.empty()) told["notes"] = result.notes;
  return told;
}

}  // namespace cairn::c_abi

extern "C" {

cairn_status cairn_mirror_new(cairn_mirror** mirror) {
  return cairn::c_abi::run([&]() -> cairn::Status {
    *mirror = new cairn_mirror;
    return {};
  });
}

cairn_status cairn_mirror_update(cairn_mirror* mirror, const cairn_mirror_request* request,
                                 char** result) {
  return cairn::c_abi::run([&]() -> cairn::Status {
    CAIRN_TRY(const cairn_mirror_request given, cairn::c_abi::request_of(request));
    CAIRN_TRY(const cairn::MirrorRequest wanted, cairn::c_abi::read_request(given));
    CAIRN_TRY(const cairn::MirrorResult updated, mirror->mirror.update(wanted));
    return result == nullptr ? cairn::Status()
                             : cairn::c_abi::give_json(cairn::c_abi::told_of(updated), result);
  });
}

void cairn_mirror_free(cairn_mirror* mirror) { delete mirror; }
}
