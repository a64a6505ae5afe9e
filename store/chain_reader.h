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

/// A copy that is asked for.
struct WantedCopy {
  CopyRef ref;
  /// Its base and its own stored bytes are wanted instead of its decoded bytes; where it turns out
  /// not to have one base, it is decoded after all. REQUIRES: it is asked for once.
  bool is_for_others_to_make = false;
};

/// What a copy is made from, for who makes it elsewhere; valid during the call.
struct Unmade {
  const PlannedCopy& copy;
  const PlannedCopy& base;
  ByteSpan stored;      ///< of the copy
  ByteSpan base_bytes;  ///< decoded and checked; of a base that stands by itself: as it is stored
  bool is_base_decoded = true;
};
/// The copy asked for as number `wanted`, undecoded.
using DeliverUnmade = std::function<Status(size_t wanted, const Unmade& unmade)>;

/// Memory: stored bytes of neighbours that are read together, at most 64 MiB of those that wait,
/// and decoded copies as plan_in_parts() says. Threads: one, each its own.
class ChainReader {
 public:
  ChainReader(Checkpoint& checkpoint, PackReader& packs) : checkpoint_(checkpoint), packs_(packs) {}

  /// Errors: those of plan_in_parts; kCorrupt naming pack and offset of the copy that is damaged,
  /// which may be one that a wanted one is made from; those of `deliver`.
  Status read(std::span<const CopyRef> wanted, const DeliverCopy& deliver);
  /// The same where others make some of them: these go to `deliver_unmade`. Errors: its too.
  Status read(std::span<const WantedCopy> wanted, const DeliverCopy& deliver,
              const DeliverUnmade& deliver_unmade);
  /// The same for a plan, of which every copy is checked. Calls deliver for each of them, by its
  /// number in the plan.
  Status read_all(const DecodePlan& plan, const DeliverCopy& deliver);

 private:
  Status read_part(const DecodePlan& plan, std::span<const WantedCopy> wanted,
                   const DeliverCopy& deliver, const DeliverUnmade& deliver_unmade);

  Checkpoint& checkpoint_;
  PackReader& packs_;
};

}  // namespace cairn
