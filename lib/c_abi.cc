#include "lib/c_abi.h"

#include <fmt/format.h>

#include <cstdlib>

namespace cairn::c_abi {

static thread_local Error last_error{Code::kFailed, "", ""};
static thread_local cairn_watch* thread_watch = nullptr;

const std::atomic<bool>* thread_stop() {
  return thread_watch == nullptr ? nullptr : &thread_watch->stop;
}

cairn_status answer(const Error& error) {
  try {
    last_error = error;
  } catch (const std::bad_alloc&) {
    last_error.message.clear();
    last_error.hint.clear();
  }
  return code_number(error.code);
}

Result<std::string> text_of(const char* given, std::string_view what) {
  if (given == nullptr) return fail(Code::kUsage, fmt::format("{} is missing (null)", what));
  return std::string(given);
}

Result<std::vector<cairn_tensor>> tensors_of(const cairn_tensor* first, size_t count,
                                             size_t element_bytes) {
  std::vector<cairn_tensor> tensors;
  if (count == 0) return tensors;
  if (first == nullptr || element_bytes < sizeof(const char*)) {
    return fail(Code::kUsage, "tensors are missing (null), or the size of an element is");
  }
  const auto* at = reinterpret_cast<const uint8_t*>(first);
  for (size_t i = 0; i < count; ++i, at += element_bytes) {
    tensors.push_back(grown<cairn_tensor>(at, element_bytes));
  }
  return tensors;
}

template <class Place>
static Status read_place(const cairn_tensor& given, Place& place) {
  CAIRN_TRY(place.name, text_of(given.name, "a tensor's name"));
  const auto dtype = dtype_of_name(text_or_none(given.dtype));
  if (!dtype) {
    return fail(
        Code::kUsage,
        fmt::format("tensor '{}': no dtype is called '{}'", place.name, text_or_none(given.dtype)),
        "names are those of safetensors files: F32, BF16, F16, F64, I64, U8, BOOL, ...");
  }
  place.dtype = *dtype;
  const auto axes = [&](const auto* values) { return std::vector(values, values + given.rank); };
  if (given.rank > 0 && given.shape == nullptr) {
    return fail(Code::kUsage, fmt::format("tensor '{}' has no shape", place.name));
  }
  place.shape = given.rank == 0 ? Shape() : Shape(axes(given.shape));
  place.box = whole_box(place.shape);
  if (given.offsets != nullptr) place.box.offsets = axes(given.offsets);
  if (given.lengths != nullptr) place.box.lengths = axes(given.lengths);
  if (given.strides_bytes != nullptr) place.strides_bytes = axes(given.strides_bytes);
  place.data = given.data;
  if (given.device != 0) place.device = given.device - 1;
  return {};
}

template <class Place>
Result<std::vector<Place>> places_of(const std::vector<cairn_tensor>& given) {
  std::vector<Place> places(given.size());
  for (size_t i = 0; i < given.size(); ++i) CAIRN_CHECK(read_place(given[i], places[i]));
  return places;
}

template Result<std::vector<TensorSource>> places_of(const std::vector<cairn_tensor>& given);
template Result<std::vector<TensorTarget>> places_of(const std::vector<cairn_tensor>& given);

Result<std::vector<CallerStream>> streams_of(const cairn_stream* first, size_t count,
                                             size_t element_bytes) {
  std::vector<CallerStream> streams;
  CAIRN_CHECK(check_given(first, count, "the streams"));
  if (count > 0 && element_bytes < sizeof(cairn_stream)) {
    return fail(Code::kUsage, "the stream_bytes of the request are not set");
  }
  const auto* at = reinterpret_cast<const uint8_t*>(first);
  for (size_t i = 0; i < count; ++i, at += element_bytes) {
    const auto stream = grown<cairn_stream>(at, element_bytes);
    streams.push_back({stream.device, stream.handle});
  }
  return streams;
}

CallOptions call_of(uint32_t threads, cairn_watch* watch) {
  CallOptions call;
  call.threads = threads;
  call.stop = thread_stop();
  if (watch != nullptr) {
    call.progress = &watch->counters;
    call.stop = &watch->stop;
  }
  return call;
}

Status give_text(const std::string& text, char** given) {
  auto* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy == nullptr) return fail(Code::kFailed, "out of memory");
  std::memcpy(copy, text.c_str(), text.size() + 1);
  *given = copy;
  return {};
}

Status give_json(const nlohmann::ordered_json& told, char** given) {
  return give_text(told.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
                   given);
}

}  // namespace cairn::c_abi

extern "C" {

uint32_t cairn_abi(void) { return CAIRN_ABI; }
const char* cairn_error_message(void) { return cairn::c_abi::last_error.message.c_str(); }
const char* cairn_error_hint(void) { return cairn::c_abi::last_error.hint.c_str(); }
void cairn_free(char* text) { std::free(text); }

cairn_status cairn_watch_new(cairn_watch** watch) {
  return cairn::c_abi::run([&]() -> cairn::Status {
    *watch = new cairn_watch;
    return {};
  });
}

void cairn_watch_free(cairn_watch* watch) { delete watch; }
void cairn_watch_stop(cairn_watch* watch) { watch->stop = true; }

void cairn_watch_thread(cairn_watch* watch) { cairn::c_abi::thread_watch = watch; }

void cairn_watch_read(const cairn_watch* watch, cairn_progress* progress) {
  cairn_progress now{progress->struct_bytes, watch->counters.total_bytes,
                     watch->counters.done_bytes, watch->counters.new_bytes};
  std::memcpy(progress, &now, std::min(progress->struct_bytes, sizeof(now)));
}
}
