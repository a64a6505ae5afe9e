#include "base/sha256.h"

#include <gtest/gtest.h>

#include <string>

#include "base/sha256_kernel.h"

namespace cairn {
namespace {

std::string hash_of(std::string_view text) { return to_hex(sha256(as_bytes(text))); }

// FIPS 180-4, and what Python's hashlib says of 'x' repeated.
TEST(Sha256, Vectors) {
  EXPECT_EQ(hash_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hash_of(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

std::string hash_by(const Sha256Kernel& kernel, ByteSpan bytes) {
  Sha256 hash(kernel);
  hash.update(bytes);
  return to_hex(hash.finish());
}

TEST(Sha256, EveryKernelGivesTheSame) {
  Bytes bytes(5000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * i >> 3);
  for (const Sha256Kernel* kernel : sha256_kernels()) {
    for (size_t length = 0; length <= bytes.size(); length += length < 300 ? 1 : 97) {
      const ByteSpan part = ByteSpan(bytes).first(length);
      ASSERT_EQ(hash_by(*kernel, part), hash_by(kSha256Portable, part)) << kernel->name << length;
    }
    EXPECT_EQ(hash_by(*kernel, as_bytes("abc")),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        << kernel->name;
  }
}

TEST(Sha256, AnyCutGivesTheSame) {
  std::string text;
  for (size_t i = 0; i < 200; ++i) text += static_cast<char>(i * 7);
  for (size_t length = 0; length <= text.size(); ++length) {
    const std::string whole = hash_of(std::string_view(text).substr(0, length));
    for (const size_t step : {size_t{1}, size_t{3}, size_t{63}, size_t{64}, size_t{65}}) {
      Sha256 hash;
      for (size_t i = 0; i < length; i += step) {
        hash.update(as_bytes(std::string_view(text).substr(i, std::min(step, length - i))));
      }
      EXPECT_EQ(to_hex(hash.finish()), whole) << length << " by " << step;
    }
  }
}

// RFC 4231, cases 1, 2 and 6 (a key longer than a block).
TEST(Sha256, HmacVectors) {
  const auto hmac = [](const std::string& key, std::string_view message) {
    return to_hex(hmac_sha256(as_bytes(key), as_bytes(message)));
  };
  EXPECT_EQ(hmac(std::string(20, '\x0b'), "Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hmac("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(
      hmac(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

}  // namespace
}  // namespace cairn
