#include "gpu/simt/outside_work.h"

#include "gpu/simt/faults.h"
#include "gpu/simt/queues.h"

namespace cairn::gpu::simt {
namespace {

/// A stream that is held, and where it ends when it is released.
struct Gate {
  Stream stream;
  Point end;
};

int enqueue_outside(void* stream, void (*task)(void*), void* context) {
  if (stream == nullptr) return 1;
  const Status enqueued = enqueue({stream}, "work of another library", [=]() -> Status {
    task(context);
    return {};
  });
  return enqueued ? 0 : 1;
}

Result<Gate> closed_gate(Stream beside) {
  constexpr std::string_view kDoing = "making a gate";
  CAIRN_TRY(const unsigned device, device_of(beside, kDoing));
  Gate gate;
  CAIRN_TRY(gate.stream.handle, make_queue(device));
  hold_stream(gate.stream);
  CAIRN_CHECK(enqueue(gate.stream, kDoing, []() -> Status { return {}; }));
  CAIRN_TRY(gate.end, end_of(gate.stream, kDoing));
  return gate;
}

void* make_gate(void* stream) {
  if (stream == nullptr) return nullptr;
  Result<Gate> gate = closed_gate({stream});
  return gate ? new Gate(std::move(*gate)) : nullptr;
}

void wait_for_gate(void* stream, void* gate) {
  static_cast<void>(enqueue_wait({stream}, static_cast<Gate*>(gate)->end).has_value());
}

void open_gate(void* gate) {
  const Stream stream = static_cast<Gate*>(gate)->stream;
  release_stream(stream);
  destroy_stream(stream);
}

void free_gate(void* gate) { delete static_cast<Gate*>(gate); }

}  // namespace
}  // namespace cairn::gpu::simt

const CairnSimulatedStreams* cairn_simulated_streams() {
  using namespace cairn::gpu::simt;
  static const CairnSimulatedStreams streams = {enqueue_outside, make_gate, wait_for_gate,
                                                open_gate, free_gate};
  return &streams;
}
