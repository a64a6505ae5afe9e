// Seeded values of every size for the tests of formats: small ones, the largest ones and those
// between, the same in every run. Also equality of plain structures, from a function `fields` that
// a test declares per structure with structured bindings, so that a new member cannot be forgotten.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <tuple>

#include "base/bytes.h"
#include "base/digest.h"
#include "store/file_id.h"

namespace cairn {

template <class T>
concept HasFields = requires(const T& value) {
  fields(value);
};

template <HasFields T>
bool operator==(const T& a, const T& b) {
  return fields(a) == fields(b);
}

class RandomValues {
 public:
  explicit RandomValues(uint64_t seed) : engine_(seed) {}

  /// From 0 to most - 1. The slight unevenness of a modulus does not matter here.
  uint64_t below(uint64_t most) { return engine_() % most; }
  bool coin() { return below(2) == 1; }
  /// Any length of binary number is as likely as another, 0 and the maximum among them.
  template <class T>
  T number() {
    const uint64_t bits = below(sizeof(T) * 8 + 1);
    return static_cast<T>(bits == 0 ? 0 : (coin() ? UINT64_MAX : engine_()) >> (64 - bits));
  }
  Bytes bytes(size_t count) {
    Bytes bytes(count);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(engine_());
    return bytes;
  }
  /// Lower-case letters and digits, so that it can stand in JSON too.
  std::string text(size_t bytes_max) {
    std::string text(below(bytes_max + 1), ' ');
    for (char& c : text) c = "abcdefghijklmnopqrstuvwxyz012345"[below(32)];
    return text;
  }
  Digest digest() {
    Digest digest;
    fill(digest.bytes);
    return digest;
  }
  SessionId session() {
    SessionId session;
    fill(session.bytes);
    return session;
  }
  FileId file() { return {session(), number<uint32_t>()}; }
  Reference reference() { return {file(), number<uint64_t>(), number<uint64_t>(), digest()}; }

 private:
  void fill(MutableBytes out) {
    for (uint8_t& byte : out) byte = static_cast<uint8_t>(engine_());
  }

  std::mt19937_64 engine_;
};

}  // namespace cairn
