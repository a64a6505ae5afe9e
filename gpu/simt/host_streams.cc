// Streams and events of the host that is the device.
#include "gpu/device.h"
#include "gpu/simt/devices.h"
#include "gpu/simt/faults.h"
#include "gpu/simt/queues.h"
#include "gpu/stream.h"

namespace cairn::gpu {

Result<OwnStream> OwnStream::make() {
  OwnStream stream;
  CAIRN_TRY(stream.handle_, simt::make_queue(simt::current_device_number()));
  return stream;
}

OwnStream::~OwnStream() {
  if (handle_ != nullptr) simt::destroy_stream(stream());
}

namespace {

struct Recorded {
  unsigned device = 0;
  simt::Point point;
};

Recorded& recorded(void* handle) { return *static_cast<Recorded*>(handle); }

}  // namespace

Result<Event> Event::make() {
  CAIRN_CHECK(simt::check_devices("making an event of the device"));
  Event event;
  event.handle_ = new Recorded{simt::current_device_number(), {}};
  return event;
}

Event::~Event() { delete static_cast<Recorded*>(handle_); }

Status Event::record(Stream stream) {
  constexpr std::string_view kDoing = "recording an event in a stream";
  if (handle_ == nullptr) {
    return fail(Code::kFailed,
                "recording an event in a stream: invalid resource handle "
                "(simulated): there is no event");
  }
  CAIRN_TRY(const unsigned device, simt::device_of(stream, kDoing));
  Recorded& own = recorded(handle_);
  if (device != own.device) {
    return fail(Code::kFailed,
                "recording an event in a stream: invalid resource handle "
                "(simulated): they are of two devices");
  }
  CAIRN_TRY(own.point, simt::end_of(stream, kDoing));
  return {};
}

Status Event::wait() const {
  if (handle_ == nullptr) return {};
  return simt::wait_until(recorded(handle_).point, "waiting for an event");
}

Result<bool> Event::is_done() const {
  if (handle_ == nullptr) return true;
  return simt::is_done(recorded(handle_).point, "asking whether an event is done");
}

Status wait_for(Stream stream, const Event& event) {
  if (event.handle() == nullptr) return {};
  return simt::enqueue_wait(stream, recorded(event.handle()).point);
}

Result<bool> is_done(Stream stream) {
  constexpr std::string_view kDoing = "asking whether a stream is done";
  CAIRN_TRY(const auto end, simt::end_of(stream, kDoing));
  return simt::is_done(end, kDoing);
}

}  // namespace cairn::gpu
