#include "lib/cluster_encoder.h"

#include <gtest/gtest.h>

#include "tests/lib/cluster_samples.h"
#include "tests/support/outcome.h"

namespace cairn {
namespace {

/// The bytes that a base has.
ByteSpan bytes_of_base(const Cluster& cluster, const CopyBase& base) {
  if (const auto* own = std::get_if<OwnPlace>(&base)) return cluster[own->entry].now;
  return cluster[std::get<BaseRef>(base).slot].before;
}

/// Encodes, decodes, compares; returns what it came to.
Encoding encode_and_prove(ClusterEncoder& encoder, const Cluster& cluster, size_t member,
                          const StepFacts& facts, bool weights_first = false,
                          size_t* stored_bytes = nullptr) {
  const auto encoded = encoder.encode(cluster, member, facts, weights_first);
  EXPECT_TRUE(succeeds(encoded));
  const ByteSpan now = cluster[member].now;
  if (stored_bytes != nullptr) *stored_bytes = now.size();
  if (!encoded || !*encoded) return Encoding::kRaw;
  const EncodedChunk& chunk = **encoded;
  EXPECT_EQ(chunk.bases.size(), chunk.base_digests.size());
  std::vector<ByteSpan> bases;
  for (size_t i = 0; i < chunk.bases.size(); ++i) {
    bases.push_back(bytes_of_base(cluster, chunk.bases[i]));
    EXPECT_EQ(blake3(bases.back()), chunk.base_digests[i]);
  }
  Bytes out(now.size());
  EXPECT_TRUE(succeeds(
      decode(chunk.encoded.encoding, chunk.encoded.parameters, chunk.encoded.stored, bases, out)));
  EXPECT_EQ(out, Bytes(now.begin(), now.end()));
  if (stored_bytes != nullptr) *stored_bytes = chunk.encoded.stored.size();
  return chunk.encoded.encoding;
}

constexpr size_t kFirst = SampleStep::kFirst, kSecond = SampleStep::kSecond,
                 kMaster = SampleStep::kMaster, kWeight = SampleStep::kWeight;

TEST(ClusterEncoder, PredictsAStepOfTheOptimizer) {
  for (const Effort effort : {Effort::kFast, Effort::kBalanced, Effort::kSmall}) {
    const SampleStep step(5000);
    ClusterEncoder encoder({effort});
    EXPECT_EQ(encode_and_prove(encoder, step.cluster, kFirst, step.facts), Encoding::kReplay);
    size_t second = 0, master = 0, weight = 0;
    EXPECT_EQ(encode_and_prove(encoder, step.cluster, kSecond, step.facts, false, &second),
              Encoding::kReplay);
    EXPECT_EQ(encode_and_prove(encoder, step.cluster, kMaster, step.facts, false, &master),
              Encoding::kReplay);
    EXPECT_EQ(encode_and_prove(encoder, step.cluster, kWeight, step.facts, false, &weight),
              Encoding::kDerived);
    EXPECT_LT(second + master + weight, 200u) << "they follow exactly";
  }
}

/// What the base is stored as is tried first, and nothing else while it does as well.
TEST(ClusterEncoder, TheBaseRemembers) {
  SampleStep step(200'000);
  Member& second = step.cluster[kSecond];
  ClusterEncoder encoder({});
  size_t bytes = 0;
  ASSERT_EQ(encode_and_prove(encoder, step.cluster, kSecond, step.facts, false, &bytes),
            Encoding::kReplay);
  second.base->encoding = Encoding::kReplay;
  second.base->detail = static_cast<uint8_t>(ReplayRule::kAdamSecondMoment);
  second.base->stored_bytes = static_cast<uint32_t>(bytes);
  EXPECT_EQ(encode_and_prove(encoder, step.cluster, kSecond, step.facts), Encoding::kReplay);
  // The optimizer is another one now: its rule does worse than it did, and a trial finds the rest.
  step.facts = {};
  step.facts.optimizer = OptimizerKind::kSgd;
  for (uint32_t i = 0; i < 200'000; ++i) {
    std::memcpy(const_cast<uint8_t*>(second.now.data()) + 4 * i, &i, 4);
  }
  second.digest = blake3(second.now);
  EXPECT_NE(encode_and_prove(encoder, step.cluster, kSecond, step.facts, false, &bytes),
            Encoding::kReplay);
  EXPECT_LT(bytes, 400'000u);
}

TEST(ClusterEncoder, WrongFactsCostBytesOnly) {
  const SampleStep step(5000);
  const std::function<void(StepFacts&)> errors[] = {
      [](StepFacts& facts) { facts.lr = 0.5; },
      [](StepFacts& facts) { facts.step = 1e9; },
      [](StepFacts& facts) { facts.clip = 0; },
      [](StepFacts& facts) { facts.beta1 = 1; },
      [](StepFacts& facts) { facts.beta2 = -1; },
      [](StepFacts& facts) { facts.eps = NAN; },
      [](StepFacts& facts) { facts.lr = NAN; },
      [](StepFacts& facts) { facts.step = -3; },
      [](StepFacts& facts) { facts.lr = INFINITY; },
      [](StepFacts& facts) { facts.optimizer = OptimizerKind::kSgd; },
      [](StepFacts& facts) { facts = {}; }};
  for (const auto& error : errors) {
    StepFacts facts = step.facts;
    error(facts);
    ClusterEncoder encoder({});
    for (size_t member = 0; member < 4; ++member) {
      encode_and_prove(encoder, step.cluster, member, facts);
    }
  }
}

TEST(ClusterEncoder, WrongRolesCostBytesOnly) {
  SampleStep step(3000);
  const std::vector<Role> right = {Role::kExpAvg, Role::kExpAvgSq, Role::kMaster, Role::kWeight};
  std::vector<Role> roles = right;
  std::sort(roles.begin(), roles.end());
  do {
    for (size_t i = 0; i < 4; ++i) step.cluster[i].role = roles[i];
    // In the order that a save would have them in, where each knows its own place.
    Cluster cluster = step.cluster;
    for (size_t i = 0; i < 4; ++i) {
      const auto at = std::find(roles.begin(), roles.end(), right[i]) - roles.begin();
      cluster[i] = step.cluster[static_cast<size_t>(at)];
      cluster[i].place.entry = static_cast<uint32_t>(i);
      if (cluster[i].base) cluster[i].base->named.slot = static_cast<uint32_t>(i);
    }
    ClusterEncoder encoder({});
    for (const bool weights_first : {false, true}) {
      for (size_t member = 0; member < 4; ++member) {
        encode_and_prove(encoder, cluster, member, step.facts, weights_first);
      }
    }
  } while (std::next_permutation(roles.begin(), roles.end()));
}

TEST(ClusterEncoder, AKeyframeIsMadeFromItself) {
  SampleStep step(5000);
  step.forget_before();
  ClusterEncoder encoder({});
  EXPECT_EQ(encode_and_prove(encoder, step.cluster, kFirst, step.facts, true), Encoding::kPlanes);
  EXPECT_EQ(encode_and_prove(encoder, step.cluster, kWeight, step.facts, true), Encoding::kPlanes);
  EXPECT_EQ(encode_and_prove(encoder, step.cluster, kMaster, step.facts, true), Encoding::kDerived);
}

TEST(ClusterEncoder, WithoutTimeOnlyWhatHasABaseIsEncoded) {
  SampleStep step(5000);
  bool has_time = true;
  ClusterEncoder encoder({Effort::kFast, 0, true, [&] { return has_time; }});
  for (const bool later : {false, true}) {
    has_time = !later;
    EXPECT_EQ(encode_and_prove(encoder, step.cluster, kSecond, step.facts), Encoding::kReplay);
  }
  step.forget_before();
  EXPECT_EQ(encode_and_prove(encoder, step.cluster, kFirst, step.facts, true), Encoding::kRaw);
  has_time = true;
  EXPECT_EQ(encode_and_prove(encoder, step.cluster, kFirst, step.facts, true), Encoding::kPlanes);
  const Bytes zeros(step.cluster[kFirst].now.size(), 0);
  step.cluster[kFirst].now = zeros;
  has_time = false;
  EXPECT_EQ(encode_and_prove(encoder, step.cluster, kFirst, step.facts, true), Encoding::kZero);
}

TEST(ClusterEncoder, SmallChangesAreSparse) {
  SampleStep step(5000);
  Cluster& cluster = step.cluster;
  Bytes now(cluster[kFirst].before.begin(), cluster[kFirst].before.end());
  for (size_t at = 3; at < now.size(); at += 997) now[at] ^= 1;
  cluster[kFirst].now = now;
  size_t stored = 0;
  ClusterEncoder encoder({Effort::kBalanced, 0, false});
  EXPECT_EQ(encode_and_prove(encoder, cluster, kFirst, {}, false, &stored), Encoding::kSparse);
  EXPECT_LT(stored, 300u);
}

TEST(ClusterEncoder, NoiseIsStoredAsItIs) {
  std::mt19937 random(1);
  Bytes bytes(100000);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  for (const Dtype dtype : {Dtype::kU8, Dtype::kI32}) {
    Cluster cluster(1);
    cluster[0].now = bytes;
    cluster[0].dtype = dtype;
    cluster[0].form = {static_cast<uint8_t>(bits_per_element(dtype) / 8), false};
    ClusterEncoder encoder({});
    EXPECT_EQ(encode_and_prove(encoder, cluster, 0, {}), Encoding::kRaw);
  }
}

/// Numbers found for one say nothing of items that take other bytes.
TEST(ClusterEncoder, ParametersOfOneSaveMayHaveOtherDtypes) {
  SampleStep wide(5000), narrow(5000, 2);
  wide.cluster[kWeight].role = narrow.cluster[kWeight].role = Role::kNone;
  narrow.cluster[kMaster] = narrow.cluster[kWeight];
  narrow.cluster[kMaster].place.entry = kMaster;
  narrow.cluster[kMaster].base->named.slot = kMaster;
  narrow.cluster[kMaster].role = Role::kMaster;
  for (const bool is_wide_first : {false, true}) {
    ClusterEncoder encoder({});
    for (const SampleStep* step :
         {is_wide_first ? &wide : &narrow, is_wide_first ? &narrow : &wide}) {
      size_t stored = 0;
      EXPECT_EQ(encode_and_prove(encoder, step->cluster, kMaster, wide.facts, false, &stored),
                Encoding::kReplay);
      EXPECT_LT(stored, 1000u);
    }
  }
}

/// A part without gradients is found after any number of chunks that nothing predicts.
TEST(ClusterEncoder, WhatRestsIsPredictedAmongWhatDoesNot) {
  SampleStep dense(5000), resting(5000);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  Bytes noise, decayed;
  for (size_t at = 0; at < dense.cluster[kFirst].now.size(); at += 4) {
    const auto old = load_le<float>(dense.cluster[kFirst].before, at);
    append_le(noise, std::fma(0.1f, normal(random) * 1e-3f - old, old));
    append_le(decayed, std::fma(0.1f, -old, old));
  }
  dense.cluster[kFirst].now = noise;
  resting.cluster[kFirst].now = decayed;
  StepFacts facts = dense.facts;
  facts.clip.reset();
  ClusterEncoder encoder({});
  for (int i = 0; i < 20; ++i) {
    EXPECT_NE(encode_and_prove(encoder, dense.cluster, kFirst, facts), Encoding::kReplay);
  }
  size_t stored = 0;
  EXPECT_EQ(encode_and_prove(encoder, resting.cluster, kFirst, facts, false, &stored),
            Encoding::kReplay);
  EXPECT_LT(stored, 100u);
}

TEST(ClusterEncoder, ZerosAreNoBytes) {
  SampleStep step(5000);
  const Bytes zeros(20000);
  step.cluster[kFirst].now = zeros;
  size_t stored = 1;
  ClusterEncoder encoder({});
  EXPECT_EQ(encode_and_prove(encoder, step.cluster, kFirst, step.facts, false, &stored),
            Encoding::kZero);
  EXPECT_EQ(stored, 0u);
}

TEST(ClusterEncoder, ALevelOfZstdMeansNothingElse) {
  const SampleStep step(5000);
  ClusterEncoder encoder({Effort::kBalanced, 3});
  for (size_t member = 0; member < 4; ++member) {
    const Encoding encoding = encode_and_prove(encoder, step.cluster, member, step.facts);
    EXPECT_TRUE(encoding == Encoding::kZstd || encoding == Encoding::kRaw);
  }
}

/// What a trial of one chunk has shown may be wrong for the next: it is never worse than raw.
TEST(ClusterEncoder, WhatWasFoundForOneChunkDoesNoHarmToAnother) {
  const SampleStep good(200000);
  SampleStep bad(200000);
  std::mt19937 random(1);
  Bytes noise(800000);
  for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random());
  bad.cluster[kFirst].now = noise;
  ClusterEncoder encoder({});
  size_t stored = 0;
  for (int i = 0; i < 3; ++i) {
    EXPECT_NE(encode_and_prove(encoder, good.cluster, kFirst, good.facts), Encoding::kRaw);
    encode_and_prove(encoder, bad.cluster, kFirst, bad.facts, false, &stored);
    EXPECT_LE(stored, noise.size());
  }
}

TEST(ClusterEncoder, AnySizeOfItems) {
  for (const uint64_t items : {1u, 2u, 3u, 7u, 64u, 65u, 66u, 127u, 129u, 255u, 1025u, 65537u}) {
    const SampleStep step(items, 3, Dtype::kF16);
    ClusterEncoder encoder({});
    for (const bool weights_first : {false, true}) {
      for (size_t member = 0; member < 4; ++member) {
        encode_and_prove(encoder, step.cluster, member, step.facts, weights_first);
      }
    }
  }
}

}  // namespace
}  // namespace cairn
