// Streams of a device and points in them. What is enqueued in a stream is done in its order; two
// streams have no order but what events make.
//
// Objects belong to the device that was current when they were made, and work is enqueued in a
// stream while its device is current (DeviceScope). Waiting for an event, in another stream or on
// the host, may be done from any.
#pragma once

#include <utility>

#include "base/error.h"

namespace cairn::gpu {

/// A queue of the device. The handle is the caller's (a cudaStream_t); nullptr is the default one.
/// One that its owner has destroyed is no longer a stream: calls with it are kFailed with CUDA's
/// words where CUDA notices.
struct Stream {
  void* handle = nullptr;
};

/// A stream of our own, that does not wait for the default one, nor that one for it. At the end of
/// its life it still does what it has, and nobody waits for that.
/// Threads: any may enqueue in it; in which order, they must agree.
class OwnStream {
 public:
  OwnStream() = default;
  /// Errors: kFailed.
  static Result<OwnStream> make();
  OwnStream(OwnStream&& other) noexcept { swap(other); }
  OwnStream& operator=(OwnStream&& other) noexcept {
    OwnStream taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~OwnStream();

  /// The default one of an object without a stream.
  Stream stream() const { return {handle_}; }

 private:
  void swap(OwnStream& other) noexcept { std::swap(handle_, other.handle_); }
  void* handle_ = nullptr;
};

/// A point in a stream: where it was last recorded. One that never was counts as done, so whoever
/// waits for it does not wait. It may go while others still wait for it in a stream.
/// Threads: one at a time.
class Event {
 public:
  Event() = default;
  /// Errors: kFailed.
  static Result<Event> make();
  Event(Event&& other) noexcept { swap(other); }
  Event& operator=(Event&& other) noexcept {
    Event taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Event();

  /// The point behind all that is enqueued in the stream now. REQUIRES: a stream of the event's
  /// device. Errors: kFailed, also for a stream of another device or of none.
  Status record(Stream stream);
  /// The host waits for the point, asleep. Errors: kFailed with what failed of the work before it.
  Status wait() const;
  /// Errors: as for wait().
  Result<bool> is_done() const;
  /// A cudaEvent_t; nullptr of an object without an event.
  void* handle() const { return handle_; }

 private:
  void swap(Event& other) noexcept { std::swap(handle_, other.handle_); }
  void* handle_ = nullptr;
};

/// What is enqueued in the stream from now on waits for the point that the event is now; the host
/// does not. Errors: kFailed.
Status wait_for(Stream stream, const Event& event);

/// Whether all that was enqueued in the stream is done. Enqueues nothing, so it may be asked as
/// often as one likes behind work that does not end: a stream that is full makes who adds to it
/// wait. Errors: kFailed with what failed of the work.
Result<bool> is_done(Stream stream);

}  // namespace cairn::gpu
