// Work of libraries that are not Cairn's in streams of the simulated devices, such as a stand-in of
// NCCL does: in the order of the stream, and with waits for what goes on elsewhere. As functions of
// C, which a library finds in a libcairn that it was not linked with.
#pragma once

extern "C" {

/// None of these may be called from a task. Streams: none is the default one.
struct CairnSimulatedStreams {
  /// A task of the stream; 0 when it is there. It runs once, sooner or later.
  int (*enqueue)(void* stream, void (*task)(void* context), void* context);
  /// Closed at first. Of the stream's device; null for no stream.
  void* (*make_gate)(void* stream);
  /// What is enqueued in the stream from now on waits until the gate is open. Who waits for a
  /// stream that is at a closed gate waits in vain (gpu/simt/faults.h).
  void (*wait_for_gate)(void* stream, void* gate);
  void (*open_gate)(void* gate);
  /// One that was opened. May be called from a task.
  void (*free_gate)(void* gate);
};

const CairnSimulatedStreams* cairn_simulated_streams();
}
