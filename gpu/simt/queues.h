// Streams of the host that is the device. What is enqueued in one waits in a queue until somebody
// waits for it, or until a drawn schedule lets it run: so a forgotten wait is seen under some seed.
// Whoever waits runs the queues, on the own thread. One lock is held meanwhile, and what runs must
// not come back here. The default stream is no queue: what is enqueued there is done at once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "gpu/stream.h"

namespace cairn::gpu::simt {

struct Queue;
using Task = std::function<Status()>;

/// A place in a queue; one without a queue is done.
struct Point {
  std::shared_ptr<Queue> queue;
  uint64_t number = 0;  ///< tasks of the queue that are before it
};

// `doing` is what the caller does, for messages. Errors: kFailed where a device is broken
// (gpu/simt/faults.h), where none is, and for a stream that was destroyed; with CUDA's words.
// Threads: any.

/// What every call asks first, and where the schedule may let others run.
Status check_devices(std::string_view doing);
/// For work that must not be enqueued while another device than the stream's is current.
Status check_current(Stream stream, std::string_view doing);
/// Of the device that work in this stream is done by.
Result<unsigned> device_of(Stream stream, std::string_view doing);

Result<void*> make_queue(unsigned device);
/// A task that fails breaks the devices.
Status enqueue(Stream stream, std::string_view doing, Task task);
/// What is enqueued in the stream from now on waits for the point.
Status enqueue_wait(Stream stream, const Point& point);
/// Behind all that is in the stream.
Result<Point> end_of(Stream stream, std::string_view doing);
/// Errors: kFailed too where it would wait in vain, naming what is in the way.
Status wait_until(const Point& point, std::string_view doing);
/// When it is not, a little of what stands before it is done, so that it is some time.
Result<bool> is_done(const Point& point, std::string_view doing);
/// Runs all that can run, as before memory of a device is given back.
void run_all(unsigned device);

/// Enqueues a kernel (gpu/kernel.h).
Status launch_grid(Stream stream, std::string_view name, unsigned blocks, unsigned threads,
                   std::function<void()> body);

}  // namespace cairn::gpu::simt
