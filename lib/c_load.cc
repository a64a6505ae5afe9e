// The C ABI: loading tensors.
#include <nlohmann/json.hpp>

#include "base/stop_scope.h"
#include "lib/c_group.h"
#include "lib/load_together.h"

namespace cairn::c_abi {

static Status read_request(const cairn_load_request& given, LoadRequest& request) {
  CAIRN_TRY(const auto targets, tensors_of(given.targets, given.target_count, given.target_bytes));
  CAIRN_CHECK(check_given(given.renames, given.rename_count, "the renames"));
  CAIRN_TRY(request.targets, places_of<TensorTarget>(targets));
  for (size_t i = 0; i < given.rename_count; ++i) {
    CAIRN_TRY(auto pattern, text_of(given.renames[i].key, "a pattern to rename"));
    CAIRN_TRY(auto replacement, text_of(given.renames[i].value, "a new name"));
    request.rename.push_back({std::move(pattern), std::move(replacement)});
  }
  request.strict = given.strict != 0;
  request.cast = given.cast != 0;
  request.call = call_of(given.threads, given.watch);
  if (given.staging != nullptr) request.devices.staging = given.staging->staging.get();
  CAIRN_TRY(request.devices.streams,
            streams_of(given.streams, given.stream_count, given.stream_bytes));
  return {};
}

}  // namespace cairn::c_abi

extern "C" cairn_status cairn_load(cairn_checkpoint* checkpoint, const cairn_load_request* request,
                                   char** result) {
  return cairn::c_abi::run([&]() -> cairn::Status {
    CAIRN_TRY(const cairn_load_request given, cairn::c_abi::request_of(request));
    cairn::LoadRequest wanted;
    CAIRN_CHECK(cairn::c_abi::read_request(given, wanted));
    cairn::c_abi::LentGroup group;
    CAIRN_CHECK(group.read(given.group));
    cairn::Checkpoint& from = *checkpoint->checkpoint;
    const cairn::StopScope scope(wanted.call.stop);
    CAIRN_TRY(const cairn::LoadResult loaded,
              group.group() == nullptr ? cairn::load(from, wanted)
                                       : cairn::load_together(from, wanted, *group.group()));
    if (result == nullptr) return {};
    nlohmann::ordered_json told{{"bytes", loaded.bytes},
                                {"read_bytes", loaded.read_bytes},
                                {"chunks", loaded.chunks},
                                {"sent_bytes", loaded.sent_bytes},
                                {"elapsed_s", loaded.elapsed_s}};
    if (!loaded.notes.empty()) told["notes"] = loaded.notes;
    return cairn::c_abi::give_json(told, result);
  });
}
