// What the files of the C ABI (lib/cairn.h) share: handles, errors, structs that may have grown.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/memory_guard.h"
#include "base/stop_scope.h"
#include "lib/cairn.h"
#include "lib/cairn.hpp"

struct cairn_store {
  std::shared_ptr<const cairn::Store> store;
};

struct cairn_checkpoint {
  std::shared_ptr<const cairn::Store> store;
  std::unique_ptr<cairn::Checkpoint> checkpoint;
};

struct cairn_staging {
  std::unique_ptr<cairn::Staging> staging;
};

struct cairn_watch {
  cairn::ProgressCounters counters;
  std::atomic<bool> stop{false};
};

namespace cairn::c_abi {

/// Keeps the error for the thread; the status to return.
cairn_status answer(const Error& error);

/// The flag of cairn_watch_thread()'s watch; null: there is none.
const std::atomic<bool>* thread_stop();

/// Runs a call; the status to return.
template <class Work>
cairn_status run(const Work& work) {
  const std::atomic<bool>* const stop = thread_stop();
  const StopScope scope(stop != nullptr ? stop : StopScope::current());
  const Status done = guard_memory(work);
  return done ? CAIRN_OK : answer(done.error());
}

/// The struct as this library knows it: what the caller does not know is zeros.
template <class T>
T grown(const void* given, size_t given_bytes) {
  T known;
  std::memset(&known, 0, sizeof(T));
  std::memcpy(&known, given, std::min(given_bytes, sizeof(T)));
  return known;
}

/// Errors: kUsage for null, or when the caller has not set the size.
template <class T>
Result<T> request_of(const T* given) {
  if (given == nullptr || given->struct_bytes < sizeof(size_t)) {
    return fail(Code::kUsage, "the request's struct_bytes is not set");
  }
  return grown<T>(given, given->struct_bytes);
}

/// Errors: kUsage for null.
Result<std::string> text_of(const char* given, std::string_view what);

/// "" for null.
inline std::string_view text_or_none(const char* given) { return given == nullptr ? "" : given; }

/// Elements of a caller's array, each `element_bytes` apart.
/// Errors: kUsage for an array of unknown size.
Result<std::vector<cairn_tensor>> tensors_of(const cairn_tensor* first, size_t count,
                                             size_t element_bytes);

/// Errors: kUsage for an array that is null and should have elements.
template <class T>
Status check_given(const T* first, size_t count, std::string_view what) {
  if (count == 0 || first != nullptr) return {};
  return fail(Code::kUsage, std::string(what) + " of the request are missing (null)");
}

/// What sources (TensorSource) and targets (TensorTarget) have in common.
/// Errors: kUsage naming the tensor.
template <class Place>
Result<std::vector<Place>> places_of(const std::vector<cairn_tensor>& given);

/// Elements of a caller's array. Errors: kUsage for an array of unknown size.
Result<std::vector<CallerStream>> streams_of(const cairn_stream* first, size_t count,
                                             size_t element_bytes);

/// Of a time that may be endless.
inline std::chrono::milliseconds milliseconds_of(double seconds) {
  constexpr double kLongest = 1e9;
  return std::chrono::milliseconds(static_cast<int64_t>(std::min(seconds, kLongest) * 1000));
}

CallOptions call_of(uint32_t threads, cairn_watch* watch);

/// A copy for the caller to free. REQUIRES: text is not null.
Status give_text(const std::string& text, char** given);
/// The same of JSON, in which what is no UTF-8 is replaced.
Status give_json(const nlohmann::ordered_json& told, char** given);

}  // namespace cairn::c_abi
