#include "store/seal.h"

#include <gtest/gtest.h>

#include "tests/store/random_values.h"

namespace cairn {
namespace {

Copy sealed_copy(ByteSpan parameters, ByteSpan stored) {
  Copy copy;
  copy.encoding = Encoding::kDelta;
  copy.parameters = seal_parameters(parameters, stored);
  return copy;
}

TEST(Seal, IsCarriedByWhatIsMadeFromOthersOrOfBlocks) {
  for (const Encoding encoding : {Encoding::kRaw, Encoding::kZero, Encoding::kZstd}) {
    EXPECT_FALSE(is_sealed(encoding)) << encoding_name(encoding);
  }
  for (const Encoding encoding : {Encoding::kPlanes, Encoding::kDelta, Encoding::kSparse,
                                  Encoding::kDerived, Encoding::kReplay}) {
    EXPECT_TRUE(is_sealed(encoding)) << encoding_name(encoding);
  }
  EXPECT_FALSE(is_sealed(static_cast<Encoding>(8))) << "nothing is known of it";
}

TEST(Seal, IsTheBeginningOfTheDigestBehindTheParameters) {
  RandomValues random(1);
  const Bytes stored = random.bytes(100), parameters = random.bytes(5);
  const Bytes sealed = seal_parameters(parameters, stored);
  const Digest digest = blake3(stored);
  Bytes expected = parameters;
  expected.insert(expected.end(), digest.bytes.begin(), digest.bytes.begin() + 8);
  EXPECT_EQ(sealed, expected);
  const Copy copy = sealed_copy(parameters, stored);
  const ByteSpan codecs = codec_parameters(copy);
  EXPECT_EQ(Bytes(codecs.begin(), codecs.end()), parameters);
}

TEST(Seal, BreaksWithEveryByte) {
  RandomValues random(2);
  const Bytes stored = random.bytes(64);
  const Copy copy = sealed_copy(random.bytes(3), stored);
  EXPECT_TRUE(check_seal(copy, stored));
  for (size_t i = 0; i < stored.size(); ++i) {
    Bytes other = stored;
    other[i] ^= 1;
    EXPECT_EQ(check_seal(copy, other).error().code, Code::kCorrupt) << i;
  }
  for (size_t i = 3; i < copy.parameters.size(); ++i) {
    Copy other = copy;
    other.parameters[i] ^= 0x80;
    EXPECT_FALSE(check_seal(other, stored)) << i;
  }
  EXPECT_FALSE(check_seal(copy, ByteSpan(stored).first(63)));
  EXPECT_FALSE(check_seal(copy, {}));
}

TEST(Seal, ParametersThatAreTooShortHaveNone) {
  Copy copy = sealed_copy({}, Bytes(10));
  for (size_t left = 8; left-- > 0;) {
    copy.parameters.resize(left);
    EXPECT_EQ(check_seal(copy, Bytes(10)).error().code, Code::kCorrupt);
    EXPECT_TRUE(codec_parameters(copy).empty());
  }
}

TEST(Seal, IsNotAskedOfOthers) {
  Copy copy;
  copy.encoding = Encoding::kZstd;
  copy.parameters = {1, 2, 3};
  EXPECT_TRUE(check_seal(copy, Bytes(10)));
  EXPECT_EQ(codec_parameters(copy).size(), 3u);
}

}  // namespace
}  // namespace cairn
