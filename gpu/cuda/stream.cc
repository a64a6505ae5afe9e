#include "gpu/stream.h"

#include "gpu/cuda/cuda_status.h"

namespace cairn::gpu {

static cudaStream_t cuda(Stream stream) { return static_cast<cudaStream_t>(stream.handle); }
static cudaEvent_t cuda_event(void* handle) { return static_cast<cudaEvent_t>(handle); }

Result<OwnStream> OwnStream::make() {
  cudaStream_t made = nullptr;
  CAIRN_CHECK(cuda_status(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking),
                          "making a stream of the device"));
  OwnStream stream;
  stream.handle_ = made;
  return stream;
}

OwnStream::~OwnStream() {
  if (handle_ != nullptr) drop_error(cudaStreamDestroy(cuda(stream())));
}

Result<Event> Event::make() {
  cudaEvent_t made = nullptr;
  CAIRN_CHECK(
      cuda_status(cudaEventCreateWithFlags(&made, cudaEventDisableTiming | cudaEventBlockingSync),
                  "making an event of the device"));
  Event event;
  event.handle_ = made;
  return event;
}

Event::~Event() {
  if (handle_ != nullptr) drop_error(cudaEventDestroy(cuda_event(handle_)));
}

Status Event::record(Stream stream) {
  return cuda_status(cudaEventRecord(cuda_event(handle_), cuda(stream)),
                     "recording an event in a stream");
}

Status Event::wait() const {
  if (handle_ == nullptr) return {};
  return cuda_status(cudaEventSynchronize(cuda_event(handle_)), "waiting for an event");
}

Result<bool> Event::is_done() const {
  if (handle_ == nullptr) return true;
  const cudaError_t error = cudaEventQuery(cuda_event(handle_));
  if (error == cudaErrorNotReady) {
    drop_error(error);
    return false;
  }
  CAIRN_CHECK(cuda_status(error, "asking whether an event is done"));
  return true;
}

Status wait_for(Stream stream, const Event& event) {
  if (event.handle() == nullptr) return {};
  return cuda_status(cudaStreamWaitEvent(cuda(stream), cuda_event(event.handle()), 0),
                     "making a stream wait for an event");
}

Result<bool> is_done(Stream stream) {
  const cudaError_t error = cudaStreamQuery(cuda(stream));
  if (error == cudaErrorNotReady) {
    drop_error(error);
    return false;
  }
  CAIRN_CHECK(cuda_status(error, "asking whether a stream is done"));
  return true;
}

}  // namespace cairn::gpu
