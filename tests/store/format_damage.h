// What every decoder must do: read back what was written, and stand bytes that end early, go on too
// long, or changed in one place. Each damaged copy has an allocation of its own size, so that a
// sanitizer sees the first byte read beyond it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/error.h"

namespace cairn {

inline bool says_damaged(const Error& error) {
  return error.code == Code::kCorrupt || error.code == Code::kNewerFormat;
}

/// `bytes`, which were written of `value`, are read as it.
template <class Value, class Decode>
void expect_read_back(const Value& value, const Bytes& bytes, Decode decode) {
  const auto decoded = decode(ByteSpan(bytes));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_TRUE(*decoded == value);
}

/// Every beginning of `bytes` but the whole, from `first_bytes` on, must be refused as damaged.
template <class Decode>
void expect_cuts_refused(const Bytes& bytes, Decode decode, size_t first_bytes = 0) {
  for (size_t count = first_bytes; count < bytes.size(); ++count) {
    const Bytes cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(count));
    const auto decoded = decode(ByteSpan(cut));
    ASSERT_FALSE(decoded.has_value()) << count << " bytes of " << bytes.size();
    ASSERT_EQ(decoded.error().code, Code::kCorrupt) << decoded.error().message;
    ASSERT_FALSE(decoded.error().message.empty());
  }
}

/// `bytes` and any one more byte, or 8 more, must be refused as damaged.
template <class Decode>
void expect_appendices_refused(const Bytes& bytes, Decode decode) {
  for (size_t value = 0; value < 256; ++value) {
    for (const size_t count : {1, 8}) {
      Bytes longer = bytes;
      longer.resize(bytes.size() + count, static_cast<uint8_t>(value));
      const auto decoded = decode(ByteSpan(longer));
      ASSERT_FALSE(decoded.has_value()) << count << " bytes of " << value;
      ASSERT_EQ(decoded.error().code, Code::kCorrupt) << decoded.error().message;
    }
  }
}

/// Calls `check(changed bytes, position)` for every value of every byte; of more than 1 KiB, for
/// every changed bit.
template <class Check>
void for_each_changed_byte(const Bytes& bytes, Check check) {
  Bytes changed(bytes);
  const bool is_short = bytes.size() <= kKiB;
  for (size_t position = 0; position < bytes.size(); ++position) {
    for (unsigned change = 1; change < 256; change = is_short ? change + 1 : change * 2) {
      changed[position] = static_cast<uint8_t>(bytes[position] ^ change);
      check(ByteSpan(changed), position);
      if (testing::Test::HasFatalFailure()) return;
    }
    changed[position] = bytes[position];
  }
}

/// For bytes with a digest of their own: every change is refused.
template <class Decode>
void expect_changes_refused(const Bytes& bytes, Decode decode) {
  for_each_changed_byte(bytes, [&](ByteSpan changed, size_t position) {
    const auto decoded = decode(changed);
    ASSERT_FALSE(decoded.has_value()) << "byte " << position << " is " << int{changed[position]};
    ASSERT_TRUE(says_damaged(decoded.error())) << decoded.error().message;
  });
}

/// For bytes whose digest lies elsewhere: a change is refused, or gives a value that is written and
/// read again as it is.
template <class Decode, class Encode>
void expect_changes_harmless(const Bytes& bytes, Decode decode, Encode encode) {
  for_each_changed_byte(bytes, [&](ByteSpan changed, size_t position) {
    const auto decoded = decode(changed);
    if (!decoded) {
      ASSERT_TRUE(says_damaged(decoded.error())) << decoded.error().message;
      return;
    }
    const Bytes again = encode(*decoded);
    const auto twice = decode(ByteSpan(again));
    ASSERT_TRUE(twice.has_value()) << "byte " << position << ": " << twice.error().message;
    ASSERT_TRUE(*twice == *decoded) << "byte " << position << " is " << int{changed[position]};
  });
}

/// No bytes at all, random ones and random ones behind `beginning` may crash a decoder.
template <class Decode, class Random>
void expect_noise_survived(ByteSpan beginning, Decode decode, Random& random) {
  for (int i = 0; i < 2000; ++i) {
    Bytes noise = random.bytes(beginning.size() + random.below(400));
    std::copy(beginning.begin(), beginning.end(), noise.begin());
    const auto decoded = decode(ByteSpan(noise));
    ASSERT_TRUE(decoded.has_value() || says_damaged(decoded.error())) << decoded.error().message;
  }
}

}  // namespace cairn
