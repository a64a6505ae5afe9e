// How long copies take to load, estimated. A cost is a multiple: 1 is what the same bytes take when
// every chunk of them stands by itself (a keyframe: byte planes).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "store/checkpoint.h"
#include "store/encoding_usage.h"

namespace cairn {

/// Estimated seconds of one core to read copies and decode them, their bases not counted. Inline
/// chunks come with their pages.
double restore_seconds(HeldAs held, const EncodingUsage& copies);
double restore_seconds(const Copy& copy);
/// The same for `bytes` stored by themselves.
double keyframe_seconds(uint64_t bytes);
/// What it takes beside that to hand `bytes` out, however they are stored.
double deliver_seconds(uint64_t bytes);

/// To read, decode and hand out.
struct LoadTime {
  double seconds = 0;
  double keyframe_seconds = 0;  ///< of what is handed out, as keyframes

  LoadTime& operator+=(const LoadTime& other) {
    seconds += other.seconds;
    keyframe_seconds += other.keyframe_seconds;
    return *this;
  }
  /// Unset when nothing is handed out.
  std::optional<double> cost() const {
    return keyframe_seconds == 0 ? std::nullopt : std::optional(seconds / keyframe_seconds);
  }
};

/// Of chunks of a class, what they are made from not counted. History is not handed out: it comes
/// on top of what is.
LoadTime load_time(std::string_view class_name, HeldAs held, const EncodingUsage& usage);

/// Of a tag of so many bytes, attachments with them, for which a load reads these copies. Without
/// any (it needs no other tag's) 1.
double restore_cost(const UsageByEncoding& read, uint64_t bytes);
/// Errors: those of reading its locators.
Result<double> restore_cost(Checkpoint& checkpoint);

/// The bytes that loading a tag hands out.
uint64_t loaded_bytes(const TagFacts& facts);

}  // namespace cairn
