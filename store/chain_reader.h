// Decodes copies that are made from others: reads each stored copy once, neighbours together,
// decodes in the order of a plan, and gives up what nobody needs any more.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "store/decode_plan.h"
#include "store/pack_reader.h"

namespace cairn {

/// Gets the decoded, checked bytes of the copy asked for as number `wanted`; valid during the call.
using DeliverCopy = std::function<Status(size_t wanted, ByteSpan decoded)>;

/// Memory: stored bytes of neighbours that are read together, at most 64 MiB of those that wait,
/// and decoded copies as plan_in_parts() says. Threads: one, each its own.
class ChainReader {
 public:
  ChainReader(Checkpoint& checkpoint, PackReader& packs) : checkpoint_(checkpoint), packs_(packs) {}

  /// Errors: those of plan_in_parts; kCorrupt naming pack and offset of the copy that is damaged,
  /// which may be one that a wanted one is made from; those of `deliver`.
  Status read(std::span<const CopyRef> wanted, const DeliverCopy& deliver);
  /// The same for a plan, of which every copy is checked. Calls deliver for each of them, by its
  /// number in the plan.
  Status read_all(const DecodePlan& plan, const DeliverCopy& deliver);

 private:
  Status read_part(const DecodePlan& plan, const DeliverCopy& deliver);

  Checkpoint& checkpoint_;
  PackReader& packs_;
};

}  // namespace cairn
