// What chunks take, by class and by how they are held: the figures of `stats`, `show`, `diff` and
// the report. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/codec.h"
#include "store/locator.h"

namespace cairn {

/// The class of copies that others are made from and that no tag at hand holds itself.
inline constexpr std::string_view kHistoryClass = "history";

struct EncodingUsage {
  uint64_t chunks = 0;  ///< pieces count each
  uint64_t decoded_bytes = 0;
  uint64_t stored_bytes = 0;

  static EncodingUsage of(const Copy& copy) { return {1, copy.decoded_bytes, copy.stored_bytes}; }
  static EncodingUsage of_inline(size_t bytes) { return {1, bytes, bytes}; }

  bool operator==(const EncodingUsage&) const = default;
  EncodingUsage& operator+=(const EncodingUsage& other) {
    chunks += other.chunks;
    decoded_bytes += other.decoded_bytes;
    stored_bytes += other.stored_bytes;
    return *this;
  }
};

/// The encoding of a copy; unset: inline, in the page.
using HeldAs = std::optional<Encoding>;

inline std::string held_name(HeldAs held) {
  return held ? std::string(encoding_name(*held)) : "inline";
}

using UsageByEncoding = std::map<HeldAs, EncodingUsage>;
using UsageByClass = std::map<std::string, UsageByEncoding>;

inline UsageByEncoding sum_by_encoding(const UsageByClass& classes) {
  UsageByEncoding sum;
  for (const auto& [name, encodings] : classes) {
    for (const auto& [held, usage] : encodings) sum[held] += usage;
  }
  return sum;
}

inline EncodingUsage sum_of(const UsageByEncoding& encodings) {
  EncodingUsage sum;
  for (const auto& [held, usage] : encodings) sum += usage;
  return sum;
}

}  // namespace cairn
