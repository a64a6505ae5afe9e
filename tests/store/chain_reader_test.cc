#include "store/chain_reader.h"

#include <numeric>

#include "base/encodings/encode.h"
#include "store/seal.h"
#include "tests/store/forged_tag.h"
#include "tests/support/outcome.h"

namespace cairn {
namespace {

constexpr ItemForm kFloats{4, true};

/// Eight chunks: 0 is raw, 1 to 4 a chain of deltas upon it, 5 is zero, 6 a delta of 5, 7 alone.
class Chains : public ForgedTags {
 protected:
  void SetUp() override {
    ForgedTags::SetUp();
    for (uint32_t i = 0; i < 8; ++i) chunks_.push_back(noise(kChunkBytes, 1));
    for (uint32_t i = 1; i < 5; ++i) {
      chunks_[i] = chunks_[i - 1];
      for (uint32_t at = i; at < kChunkBytes; at += 17 * i) chunks_[i][at] ^= uint8_t(i);
    }
    chunks_[5] = Bytes(kChunkBytes);
    chunks_[6] = noise(kChunkBytes, 2);
    chunks_[7] = noise(kChunkBytes, 3);
    for (const Bytes& chunk : chunks_) digests_.push_back(blake3(chunk));
    for (uint32_t i = 0; i < 8; ++i) {
      const bool has_base = (i > 0 && i < 5) || i == 6;
      if (has_base) {
        const Encoded encoded =
            encode_delta(chunks_[i], chunks_[i - 1], kFloats, Effort::kBalanced);
        copies_.push_back(put(encoded.encoding, encoded.stored, digests_[i], encoded.parameters));
        copies_.back().bases = {{page_digest(digests_), i - 1}};
      } else {
        copies_.push_back(i == 5 ? put(Encoding::kZero, {}, digests_[5]) : put_raw(chunks_[i]));
      }
    }
  }

  std::unique_ptr<Checkpoint> open_tag() { return open(digests_, copies_); }

  /// Reads the slots and compares; returns the order in which they came.
  Result<std::vector<size_t>> read(Checkpoint& tag, const std::vector<uint32_t>& slots) {
    std::vector<CopyRef> refs;
    for (const uint32_t slot : slots) refs.push_back({0, slot});
    std::vector<size_t> order;
    PackReader packs(*store_);
    CAIRN_CHECK(ChainReader(tag, packs).read(refs, [&](size_t wanted, ByteSpan decoded) -> Status {
      EXPECT_EQ(Bytes(decoded.begin(), decoded.end()), chunks_[slots[wanted]]);
      order.push_back(wanted);
      return {};
    }));
    return order;
  }
  void expect_blame(Checkpoint& tag, uint32_t slot, const Copy& damaged) {
    const auto done = read(tag, {slot});
    ASSERT_TRUE(fails_with(Code::kCorrupt, done)) << slot;
    EXPECT_NE(done.error().message.find(session_.hex()), std::string::npos);
    EXPECT_NE(done.error().message.find("offset " + std::to_string(damaged.offset) + ":"),
              std::string::npos)
        << done.error().message << " instead of offset " << damaged.offset;
  }

  std::vector<Bytes> chunks_;
  std::vector<Digest> digests_;
  std::vector<Copy> copies_;
};

TEST_F(Chains, EveryCopyAlone) {
  const auto tag = open_tag();
  for (uint32_t slot = 0; slot < 8; ++slot) EXPECT_EQ(read(*tag, {slot})->size(), 1u);
}

TEST_F(Chains, ManyAtOnceInAnyOrderAndTwice) {
  const auto tag = open_tag();
  const auto order = read(*tag, {4, 7, 2, 6, 0, 4, 1, 5});
  ASSERT_TRUE(succeeds(order));
  EXPECT_EQ(order->size(), 8u);
  EXPECT_EQ(std::set<size_t>(order->begin(), order->end()).size(), 8u) << "each one once";
  EXPECT_TRUE(read(*tag, {})->empty());
}

TEST_F(Chains, ReadAllDeliversThePlan) {
  const auto tag = open_tag();
  const std::vector<CopyRef> refs = {{0, 3}, {0, 6}};
  const DecodePlan plan = *plan_decoding(*tag, refs);
  PackReader packs(*store_);
  size_t next = 0;
  ASSERT_TRUE(ChainReader(*tag, packs).read_all(plan, [&](size_t number, ByteSpan decoded) {
    EXPECT_EQ(number, next++);
    EXPECT_EQ(Bytes(decoded.begin(), decoded.end()), chunks_[plan.copies[number].ref.slot]);
    return Status();
  }));
  EXPECT_EQ(next, 6u);
}

TEST_F(Chains, TheCallersErrorEndsIt) {
  const auto tag = open_tag();
  PackReader packs(*store_);
  const std::vector<CopyRef> refs = {{0, 3}};
  const auto refuse = [](size_t, ByteSpan) -> Status { return fail(Code::kCancelled, "enough"); };
  EXPECT_TRUE(fails_with(Code::kCancelled, ChainReader(*tag, packs).read(refs, refuse)));
}

/// What others make comes with its base: decoded where that is made of others, or needed as well.
TEST_F(Chains, WhatOthersMakeComesWithItsBase) {
  const auto tag = open_tag();
  PackReader packs(*store_);
  struct Case {
    std::vector<WantedCopy> wanted;
    bool is_base_decoded;
  };
  const Case cases[] = {
      {{{{0, 1}, true}}, false},          {{{{0, 1}, true}, {{0, 7}}}, false},
      {{{{0, 1}, true}, {{0, 0}}}, true}, {{{{0, 1}, true}, {{0, 2}}}, true},
      {{{{0, 2}, true}}, true},           {{{{0, 3}, true}, {{0, 2}}, {{0, 4}}}, true},
      {{{{0, 6}, true}}, false}};
  for (const auto& [wanted, is_base_decoded] : cases) {
    const uint32_t slot = wanted[0].ref.slot;
    size_t decoded_copies = 0, unmade_copies = 0;
    const auto deliver = [&, &wanted = wanted](size_t i, ByteSpan decoded) -> Status {
      EXPECT_GT(i, 0u);
      EXPECT_EQ(Bytes(decoded.begin(), decoded.end()), chunks_[wanted[i].ref.slot]);
      ++decoded_copies;
      return {};
    };
    const auto make = [&, is_decoded = is_base_decoded](size_t i, const Unmade& unmade) -> Status {
      EXPECT_EQ(i, 0u);
      ++unmade_copies;
      EXPECT_EQ(unmade.is_base_decoded, is_decoded) << slot;
      Bytes base(unmade.base_bytes.begin(), unmade.base_bytes.end());
      if (slot == 6) base = chunks_[5];  // zeros have no stored bytes
      EXPECT_EQ(base, chunks_[slot - 1]) << "which is raw where it is not decoded";
      Bytes made(kChunkBytes);
      EXPECT_TRUE(
          succeeds(decode_delta(unmade.copy.copy.encoding, codec_parameters(unmade.copy.copy),
                                unmade.stored, base, made)));
      EXPECT_EQ(made, chunks_[slot]);
      return {};
    };
    ASSERT_TRUE(succeeds(ChainReader(*tag, packs).read(wanted, deliver, make)));
    EXPECT_EQ(unmade_copies, 1u) << slot;
    EXPECT_EQ(decoded_copies, wanted.size() - 1) << slot;
  }
}

TEST_F(Chains, TheBaseOfWhatOthersMakeIsChecked) {
  const auto tag = open_tag();
  PackReader packs(*store_);
  damage(copies_[0]);
  const std::vector<WantedCopy> wanted = {{{0, 2}, true}};
  const auto read = ChainReader(*tag, packs)
                        .read(
                            wanted, [](size_t, ByteSpan) { return Status(); },
                            [](size_t, const Unmade&) {
                              ADD_FAILURE() << "it was not checked";
                              return Status();
                            });
  ASSERT_TRUE(fails_with(Code::kCorrupt, read));
  EXPECT_NE(read.error().message.find("offset " + std::to_string(copies_[0].offset) + ":"),
            std::string::npos)
      << read.error().message;
}

TEST_F(Chains, TheCopyThatIsDamagedIsNamed) {
  const auto tag = open_tag();
  damage(copies_[0]);
  for (const uint32_t slot : {0u, 1u, 4u}) expect_blame(*tag, slot, copies_[0]);
  for (const uint32_t slot : {5u, 6u, 7u}) EXPECT_TRUE(succeeds(read(*tag, {slot}))) << slot;
}

TEST_F(Chains, OneInTheMiddleIsNamedByAllAboveIt) {
  const auto tag = open_tag();
  damage(copies_[2]);
  for (const uint32_t slot : {2u, 3u, 4u}) expect_blame(*tag, slot, copies_[2]);
  for (const uint32_t slot : {0u, 1u, 6u}) EXPECT_TRUE(succeeds(read(*tag, {slot}))) << slot;
}

/// Residuals are read by the sizes of the predictions: with another byte in the base they cannot be
/// read at all.
TEST_F(Chains, ABaseIsNamedWhereWhatIsMadeFromItCannotBeDecoded) {
  constexpr ItemForm kHalves{2, true};
  Bytes below, above;
  const Bytes random = noise(kChunkBytes, 4);
  for (size_t i = 0; i < kChunkBytes / 2; ++i) {
    const bool is_large = i % 2 == 1;
    const bool moves =
        is_large && (random[i + kChunkBytes / 2] % 2 == 0 || i + 1 == kChunkBytes / 2);
    const auto item = static_cast<uint16_t>((is_large ? 0x3f80 : 0x3800) + random[i] % 64);
    append_le(below, item);
    append_le(above, static_cast<uint16_t>(item + (moves ? 1 : 0)));
  }
  const std::vector<Digest> digests = {blake3(below), blake3(above)};
  const Encoded encoded = encode_delta(above, below, kHalves, Effort::kBalanced);
  const Copy base = put_raw(below);
  Copy made = put(encoded.encoding, encoded.stored, digests[1], encoded.parameters);
  made.bases = {{page_digest(digests), 0}};
  const auto tag = open(digests, {base, made});
  chunks_ = {below, above};
  ASSERT_TRUE(succeeds(read(*tag, {1})));
  // Some byte, with which it is not only wrong.
  Copy place = base;
  Bytes room(kChunkBytes);
  const auto decodes_with_damage = [&] {
    Bytes damaged = below;
    damaged[place.offset - base.offset + kChunkBytes / 2] ^= 0x10;
    return decode_delta(encoded.encoding, encoded.parameters, encoded.stored, damaged, room)
        .has_value();
  };
  while (decodes_with_damage()) ASSERT_LT(++place.offset - base.offset, kChunkBytes / 2);
  damage(place);
  expect_blame(*tag, 1, base);
}

TEST_F(Chains, AMissingPackIsNamed) {
  const auto tag = open_tag();
  std::filesystem::remove(pack_path());
  const auto done = read(*tag, {4});
  ASSERT_TRUE(fails_with(Code::kCorrupt, done));
  EXPECT_NE(done.error().message.find(session_.hex()), std::string::npos);
  std::filesystem::create_directories(std::filesystem::path(pack_path()).parent_path());
  std::ofstream(pack_path()) << "short";
  EXPECT_TRUE(fails_with(Code::kCorrupt, read(*tag, {4})));
}

/// What a forged or damaged locator may say: an error, whatever it is.
TEST_F(Chains, LocatorsThatLieAreErrors) {
  const auto tag = open_tag();
  const auto refused = [&](uint32_t slot, const std::function<void(Copy&)>& lie) {
    std::vector<Copy> copies = copies_;
    lie(copies[slot]);
    const auto forged = open(digests_, copies);
    const auto done = read(*forged, {slot});
    EXPECT_FALSE(done);
    return done ? Code::kBug : done.error().code;
  };
  const std::function<void(Copy&)> lies[] = {
      [](Copy& copy) { copy.bases.clear(); },
      [](Copy& copy) { copy.bases.push_back(copy.bases[0]); },
      [](Copy& copy) { copy.bases[0].slot = 7; },
      [](Copy& copy) { copy.bases[0].slot = 8; },
      [](Copy& copy) { copy.parameters.clear(); },
      [](Copy& copy) { copy.parameters.resize(3); },
      [](Copy& copy) { copy.parameters.resize(8); },
      [](Copy& copy) { copy.parameters[0] = 0x13; },
      [](Copy& copy) { copy.decoded_bytes = 1020; },
      [](Copy& copy) { copy.decoded_bytes = 0; },
      [](Copy& copy) { copy.stored_bytes -= 1; },
      [](Copy& copy) { copy.stored_bytes = 0; },
      [](Copy& copy) { copy.offset = uint64_t{1} << 40; },
      [](Copy& copy) { copy.encoding = Encoding::kDerived; },
      [](Copy& copy) { copy.encoding = Encoding::kReplay; },
      [](Copy& copy) { copy.encoding = Encoding::kPlanes; },
      [](Copy& copy) { copy.encoding = Encoding::kRaw; },
      [](Copy& copy) { copy.encoding = Encoding::kZero; },
      [](Copy& copy) { copy.encoding = Encoding::kZstd; }};
  for (size_t i = 0; i < std::size(lies); ++i) {
    EXPECT_EQ(refused(3, lies[i]), Code::kCorrupt) << "lie " << i;
  }
  const auto newer = [](Copy& copy) { copy.encoding = static_cast<Encoding>(99); };
  EXPECT_EQ(refused(3, newer), Code::kNewerFormat);
  const auto odd = [](Copy& copy) { copy.parameters[0] = 0x80; };
  EXPECT_EQ(refused(3, odd), Code::kNewerFormat);
}

/// Copies of a MiB, four of which are read together.
class LargeCopies : public ForgedTags {
 protected:
  /// Behind every fourth lies one of zeros, which has no stored bytes.
  std::unique_ptr<Checkpoint> open_with_zeros(uint32_t count) {
    std::vector<Copy> copies;
    for (uint32_t i = 0; i < count; ++i) {
      const bool is_zero = i % 5 == 3;
      const Bytes bytes(kMiB, static_cast<uint8_t>(is_zero ? 0 : i + 1));
      digests_.push_back(blake3(bytes));
      copies.push_back(is_zero
                           ? *pack_->append({digests_.back(), Encoding::kZero, kMiB, ByteSpan{}})
                           : *pack_->append({digests_.back(), Encoding::kRaw, kMiB, bytes}));
    }
    return open(digests_, copies);
  }
  static uint64_t read_bytes(const Store& store, Checkpoint& tag,
                             const std::vector<uint32_t>& slots) {
    PackReader packs(store);
    std::vector<CopyRef> wanted;
    for (const uint32_t slot : slots) wanted.push_back({0, slot});
    const auto ignore = [](size_t, ByteSpan) { return Status(); };
    EXPECT_TRUE(succeeds(ChainReader(tag, packs).read(wanted, ignore)));
    return packs.read_bytes();
  }

  std::unique_ptr<Checkpoint> open_copies(uint32_t count) {
    std::vector<Copy> copies;
    for (uint32_t i = 0; i < count; ++i) {
      const Bytes bytes(kMiB, static_cast<uint8_t>(i));
      digests_.push_back(blake3(bytes));
      copies.push_back(*pack_->append({digests_.back(), Encoding::kRaw, kMiB, bytes}));
      raw_bytes_ += copies.back().stored_bytes;
    }
    return open(digests_, copies);
  }
  std::vector<Digest> digests_;
  uint64_t raw_bytes_ = 0;
};

TEST_F(LargeCopies, WhatWaitsTooLongIsReadAgain) {
  const auto tag = open_copies(128);
  PackReader packs(*store_);
  std::vector<CopyRef> wanted;
  for (uint32_t first : {0u, 1u, 2u, 3u}) {
    for (uint32_t slot = first; slot < 128; slot += 4) wanted.push_back({0, slot});
  }
  size_t count = 0;
  const auto read =
      ChainReader(*tag, packs).read(wanted, [&](size_t i, ByteSpan decoded) -> Status {
        EXPECT_EQ(decoded.size(), kMiB);
        EXPECT_EQ(decoded[i], static_cast<uint8_t>(wanted[i].slot));
        ++count;
        return {};
      });
  ASSERT_TRUE(succeeds(read));
  EXPECT_EQ(count, wanted.size());
  EXPECT_GT(packs.read_bytes(), raw_bytes_) << "not all of it was kept";
}

TEST_F(LargeCopies, ZerosKeepNothingWaiting) {
  const auto tag = open_with_zeros(128);
  std::vector<uint32_t> in_order(128);
  std::iota(in_order.begin(), in_order.end(), 0u);
  // The second waits for long, beside nothing else that does.
  std::vector<uint32_t> second_last = in_order;
  std::rotate(second_last.begin() + 1, second_last.begin() + 2, second_last.end());
  EXPECT_EQ(read_bytes(*store_, *tag, second_last), read_bytes(*store_, *tag, in_order));
}

}  // namespace
}  // namespace cairn
