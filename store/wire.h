// Reading and writing the little-endian structures of docs/FORMAT.md. A WireReader never reads past
// its bytes: after the first step beyond the end it yields zeros and finish() says kCorrupt (or
// kNewerFormat, see expect_version), so a decoder reads straight through and checks once.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/error.h"

namespace cairn {

class WireReader {
 public:
  /// `what` names the structure in messages, e.g. "manifest of tag 'run7/step-1'".
  WireReader(ByteSpan bytes, std::string_view what) : bytes_(bytes), what_(what) {}

  template <class T>
  T take() {
    if (!has(sizeof(T))) return T{};
    const T value = load_le<T>(bytes_, position_);
    position_ += sizeof(T);
    return value;
  }
  ByteSpan take_bytes(uint64_t count) {
    if (!has(count)) return {};
    const ByteSpan taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }
  Digest take_digest() {
    Digest digest;
    const ByteSpan taken = take_bytes(digest.bytes.size());
    if (!taken.empty()) std::memcpy(digest.bytes.data(), taken.data(), taken.size());
    return digest;
  }
  std::string take_string16() { return std::string(as_text(take_bytes(take<uint16_t>()))); }
  std::string take_string32() { return std::string(as_text(take_bytes(take<uint32_t>()))); }
  /// Fails the read unless the next bytes are these.
  void expect(std::string_view magic) {
    if (as_text(take_bytes(magic.size())) != magic) reject("does not begin with its magic");
  }
  /// The next u32; fails the read unless it is a version from `oldest` to `newest`. Bytes that
  /// match their digest and have a larger one are not damaged but newer, and the two need different
  /// answers: kNewerFormat.
  uint32_t take_version(uint32_t oldest, uint32_t newest) {
    const auto version = take<uint32_t>();
    if (!ok() || (version >= oldest && version <= newest)) return version;
    is_newer_ = version > newest;
    reject("has the unknown version " + std::to_string(version));
    return version;
  }
  /// Fails the read unless the next u32 is `known`.
  void expect_version(uint32_t known) { take_version(known, known); }
  /// Fails the read; the first reason stays.
  void reject(std::string_view why) {
    if (why_.empty()) why_ = why;
  }
  /// A count of records of at least `record_bytes` each, refused where they cannot fit: a damaged
  /// count must not become an allocation.
  uint64_t take_count(uint64_t count, uint64_t record_bytes) {
    if (record_bytes != 0 && count > left() / record_bytes) {
      reject("counts more records than it holds");
      return 0;
    }
    return ok() ? count : 0;
  }

  bool ok() const { return why_.empty(); }
  size_t left() const { return bytes_.size() - position_; }
  size_t position() const { return position_; }

  Status status() const {
    if (ok()) return {};
    if (is_newer_) return fail(Code::kNewerFormat, what_ + " " + why_, "use a newer cairn");
    return fail(Code::kCorrupt, what_ + " is damaged: it " + why_);
  }
  /// As status(), and every byte must have been read.
  Status finish() {
    if (left() != 0) reject("has bytes after its end");
    return status();
  }

 private:
  bool has(uint64_t count) {
    if (count > left()) reject("ends too early");
    return ok();
  }

  ByteSpan bytes_;
  std::string what_;
  size_t position_ = 0;
  std::string why_;
  bool is_newer_ = false;
};

/// The auxiliary bytes of a structure, of which each record has its own. Were they shared, a few
/// kilobytes could stand for gigabytes.
class AuxiliaryBytes {
 public:
  explicit AuxiliaryBytes(ByteSpan bytes) : bytes_(bytes), left_(bytes.size()) {}

  /// nullopt when they are not there, or more are taken in all than there are.
  std::optional<ByteSpan> take(uint64_t offset, uint64_t count) {
    if (offset > bytes_.size() || count > bytes_.size() - offset || count > left_) {
      return std::nullopt;
    }
    left_ -= count;
    return bytes_.subspan(offset, count);
  }

 private:
  ByteSpan bytes_;
  uint64_t left_;
};

inline void append_digest(Bytes& bytes, const Digest& digest) { append_bytes(bytes, digest.bytes); }
inline void append_string16(Bytes& bytes, std::string_view text) {
  append_le(bytes, static_cast<uint16_t>(text.size()));
  append_bytes(bytes, as_bytes(text));
}
inline void append_string32(Bytes& bytes, std::string_view text) {
  append_le(bytes, static_cast<uint32_t>(text.size()));
  append_bytes(bytes, as_bytes(text));
}
inline void append_zeros_to(Bytes& bytes, uint64_t alignment) {
  bytes.resize(round_up(bytes.size(), alignment));
}

}  // namespace cairn
