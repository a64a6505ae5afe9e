// What the benchmark of kernels measures: an operation that is enqueued over and over on data that
// takes turns, is checked against the host, and has a rate that was asked for.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "gpu/device.h"

namespace cairn::gpu {

/// Buffers of random BF16 weights of one size in device memory. Operations only read them.
struct BenchData {
  std::vector<DeviceMemory> buffers;
  uint64_t buffer_bytes = 0;  ///< a multiple of 1 MiB

  const DeviceMemory& of_turn(size_t turn) const { return buffers[turn % buffers.size()]; }
};

class Operation {
 public:
  virtual ~Operation() = default;
  /// Enqueues it on data.of_turn(turn), without waiting.
  virtual Status enqueue(Stream stream, size_t turn) = 0;
  /// Compares what the last enqueue(), of the same turn, left in device memory with what the host
  /// computes, all of it or a sample. Errors: kFailed telling the first difference.
  virtual Status check(size_t turn) = 0;
  /// That its rate counts, of one enqueue().
  virtual uint64_t counted_bytes() const = 0;
};

using Prepared = Result<std::unique_ptr<Operation>>;

/// Which bytes a rate counts.
enum class Counted { kRead, kReadAndWritten };

struct Row {
  const char* name;
  Counted counted;
  double must, aim;  ///< GB/s, on an H200
  Prepared (*prepare)(const BenchData& data);
};

}  // namespace cairn::gpu
