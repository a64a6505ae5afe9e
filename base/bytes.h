// Byte spans, little-endian loads and stores, and arithmetic that says when it overflows. Every
// format of Cairn is little-endian; the only reinterpret_cast of the project lives here.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace cairn {

static_assert(std::endian::native == std::endian::little, "Cairn formats are read in place");

using Bytes = std::vector<uint8_t>;
using ByteSpan = std::span<const uint8_t>;  ///< borrowed for the call
using MutableBytes = std::span<uint8_t>;    ///< borrowed for the call, written to

inline constexpr uint64_t kKiB = uint64_t{1} << 10;
inline constexpr uint64_t kMiB = uint64_t{1} << 20;
inline constexpr uint64_t kGiB = uint64_t{1} << 30;

inline ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline ByteSpan as_bytes(const void* data, size_t bytes) {
  return {static_cast<const uint8_t*>(data), bytes};
}
inline std::string_view as_text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// REQUIRES: bytes.size() >= offset + sizeof(T).
template <class T>
T load_le(ByteSpan bytes, size_t offset = 0) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}
/// REQUIRES: bytes.size() >= offset + sizeof(T).
template <class T>
void store_le(MutableBytes bytes, size_t offset, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}
template <class T>
void append_le(Bytes& bytes, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  const size_t offset = bytes.size();
  bytes.resize(offset + sizeof value);
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}
inline void append_bytes(Bytes& bytes, ByteSpan tail) {
  if (tail.empty()) return;
  const size_t offset = bytes.size();
  bytes.resize(offset + tail.size());
  std::memcpy(bytes.data() + offset, tail.data(), tail.size());
}

/// nullopt when the result does not fit.
template <class T>
std::optional<T> checked_add(T a, T b) {
  T sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}
/// nullopt when the result does not fit.
template <class T>
std::optional<T> checked_mul(T a, T b) {
  T product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// REQUIRES: unit > 0; value + unit does not overflow.
inline constexpr uint64_t round_up(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}
inline constexpr uint64_t ceil_div(uint64_t value, uint64_t unit) {
  return value / unit + (value % unit != 0);
}

/// Lower-case hexadecimal.
std::string to_hex(ByteSpan bytes);
/// False unless `text` is exactly 2 * out.size() hexadecimal digits.
bool from_hex(std::string_view text, MutableBytes out);

}  // namespace cairn
