// The state of a training in a device's memory, made there, and changed there in known parts.
#pragma once

#include <deque>
#include <vector>

#include "gpu/device.h"
#include "lib/cairn.hpp"
#include "lib/save_plan.h"

namespace cairn {

/// What state is made of. Weights are BF16; kTraining has two moments in F32 beside each.
enum class StateKind { kTraining, kWeights };

/// Layers of a transformer in memory without holes. Queries, keys and values are columns of one
/// matrix, so they lie in strides; a small one is transposed.
class DeviceState {
 public:
  /// Of at most so many bytes, and a layer at least; all memory holds noise. Errors: kNoSpace.
  static Result<DeviceState> make(StateKind kind, uint64_t bytes, uint64_t chunk_elements);

  std::vector<TensorSource> sources() const { return sources_of(memory_.data()); }
  /// The same tensors in other memory, which is as large.
  std::vector<TensorSource> sources_of(const uint8_t* memory) const;
  std::vector<TensorTarget> targets_of(uint8_t* memory) const;
  const gpu::DeviceMemory& memory() const { return memory_; }
  uint64_t bytes() const { return memory_.size(); }
  uint64_t chunks() const { return chunks_; }

  /// Makes noise of about `part` of the chunks, never of more, each with those of the same weight's
  /// moments. `round` says of which. Errors: kFailed.
  Status change_chunks(double part, unsigned round);
  /// Makes noise of one BF16 in `period`, all over. REQUIRES: kWeights.
  Status change_elements(uint64_t period, unsigned round);

  /// A box for each chunk of every `period`-th group of chunks that change together.
  std::vector<SourceBox> chunk_boxes(uint64_t period) const;
  static uint64_t item_bytes_of(const TensorSource& source);

 private:
  struct Parameter {
    std::string name;
    Shape shape;
    std::vector<int64_t> strides;  // in items; empty: contiguous
    uint64_t first_item = 0;       // in the memory of its role
  };
  struct Part {  // the memory of a role
    Role role;
    Dtype dtype;
    uint64_t item_bytes, begin;
  };

  void lay_out(uint64_t layers, uint64_t width);
  void add_layer(const std::string& layer, uint64_t width);
  void add(std::string name, Shape shape, std::vector<int64_t> strides = {});
  TensorSource source_of(const Parameter& parameter, const Part& part, const uint8_t* memory) const;
  Status fill();
  const uint8_t* noise(uint64_t bytes);

  gpu::DeviceMemory memory_, noise_;
  std::vector<Parameter> parameters_;
  std::vector<Part> parts_;
  uint64_t items_ = 0, chunk_elements_ = 0, chunks_ = 0, noise_turn_ = 0;
};

}  // namespace cairn
