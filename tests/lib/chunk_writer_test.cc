// Several threads and tensors meet the same chunk: one copy is found for it, whatever was stored.
#include "lib/chunk_writer.h"

#include <thread>

#include "store/seal.h"
#include "tests/lib/store_fixture.h"

namespace cairn {
namespace {

class Writer : public StoreFixture {
 protected:
  void SetUp() override {
    StoreFixture::SetUp();
    session_ = *SessionId::fresh();
    packs_ = std::make_unique<PackWriter>(posix_fs(), path(), session_, uint64_t{1} << 30);
    writer_ = std::make_unique<ChunkWriter>(*packs_, session_, &progress_);
  }
  EncodedChunk made_from(CopyBase base) const {
    return {{Encoding::kDelta, {0x12}, noise(100, 9)}, {base}, {blake3(noise(8, 8))}};
  }

  const Bytes data_ = noise(1000, 1);
  const Digest digest_ = blake3(data_);
  SessionId session_;
  ProgressCounters progress_;
  std::unique_ptr<PackWriter> packs_;
  std::unique_ptr<ChunkWriter> writer_;
};

TEST_F(Writer, OneClaimsAChunk) {
  EXPECT_TRUE(writer_->claim(digest_, true));
  EXPECT_FALSE(writer_->claim(digest_, true));
  EXPECT_FALSE(writer_->claim(digest_, false));
  ASSERT_TRUE(writer_->write_raw(digest_, data_, true));
  EXPECT_FALSE(writer_->claim(digest_, false));
  EXPECT_EQ(writer_->new_chunks(), 1u);
  EXPECT_EQ(writer_->new_bytes(), 1000u);
  const ChunkCopy found = writer_->find(digest_);
  EXPECT_EQ(found.copy.encoding, Encoding::kRaw);
  EXPECT_EQ(found.copy.stored_bytes, 1000u);
  EXPECT_TRUE(found.bases.empty());
}

TEST_F(Writer, ACopyMadeFromTheBaseKeepsItsBasesAndASeal) {
  ASSERT_TRUE(writer_->claim(digest_, false));
  const BaseRef base{blake3(noise(8, 3)), 7};
  ASSERT_TRUE(writer_->write(digest_, 1000, made_from(base), true));
  const ChunkCopy found = writer_->find(digest_);
  ASSERT_EQ(found.bases.size(), 1u);
  EXPECT_EQ(std::get<BaseRef>(found.bases[0]), base);
  EXPECT_EQ(found.copy.decoded_bytes, 1000u);
  EXPECT_TRUE(check_seal(found.copy, noise(100, 9)));
  EXPECT_EQ(codec_parameters(found.copy).size(), 1u);
  EXPECT_FALSE(writer_->claim(digest_, false)) << "it needs nothing of this save";
}

TEST_F(Writer, ACopyMadeFromThisSaveIsForThoseThatNothingIsMadeFrom) {
  const auto own = writer_->write_own(digest_, 1000, made_from(OwnPlace{1, 2, 3}));
  ASSERT_TRUE(own);
  EXPECT_EQ(writer_->new_chunks(), 1u);
  EXPECT_FALSE(writer_->claim(digest_, true)) << "it will do";
  EXPECT_EQ(writer_->find(digest_).copy, own->copy);
  EXPECT_TRUE(writer_->claim(digest_, false)) << "others may be made from this one";
  ASSERT_TRUE(writer_->write_raw(digest_, data_, true));
  EXPECT_EQ(writer_->find(digest_).copy.encoding, Encoding::kRaw);
  EXPECT_EQ(writer_->new_chunks(), 1u) << "the same chunk";
  EXPECT_FALSE(writer_->claim(digest_, false));
}

TEST_F(Writer, WhatStandsByItselfIsFoundFirst) {
  ASSERT_TRUE(writer_->claim(digest_, false));
  ASSERT_TRUE(writer_->write_raw(digest_, data_, true));
  const auto own = writer_->write_own(digest_, 1000, made_from(OwnPlace{1, 2, 3}));
  ASSERT_TRUE(own);
  EXPECT_EQ(own->copy.encoding, Encoding::kDelta) << "for its own place";
  EXPECT_EQ(writer_->find(digest_).copy.encoding, Encoding::kRaw);
  EXPECT_EQ(writer_->new_chunks(), 1u);
}

TEST_F(Writer, AClaimInTheMiddleIsNotTakenOver) {
  ASSERT_TRUE(writer_->claim(digest_, false));
  ASSERT_TRUE(writer_->write_own(digest_, 1000, made_from(OwnPlace{1, 2, 3})));
  ASSERT_TRUE(writer_->write_raw(digest_, data_, true));
  EXPECT_TRUE(writer_->find(digest_).bases.empty());
}

TEST_F(Writer, WhatLiesElsewhereIsReused) {
  Copy copy{{*SessionId::fresh(), 3}, 64, 100, 1000, Encoding::kPlanes, {}, {}};
  copy.parameters = seal_parameters(Bytes{0x12}, noise(100, 9));
  writer_->reuse(digest_, copy);
  EXPECT_FALSE(writer_->claim(digest_, false));
  EXPECT_EQ(writer_->find(digest_).copy, copy);
  EXPECT_EQ(writer_->reused_packs(), std::vector<FileId>{copy.pack});
  EXPECT_EQ(writer_->new_chunks(), 0u);
}

TEST_F(Writer, ThreadsThatMeetTheSameChunks) {
  std::vector<Bytes> chunks;
  for (uint32_t i = 0; i < 200; ++i) chunks.push_back(noise(300, i));
  const auto work = [&](unsigned worker) {
    for (size_t i = 0; i < chunks.size(); ++i) {
      const Digest digest = blake3(chunks[i]);
      if ((i + worker) % 3 == 0) {
        EXPECT_TRUE(writer_->write_own(digest, 300, made_from(OwnPlace{0, worker, 0})));
      } else if (writer_->claim(digest, (i + worker) % 3 == 1)) {
        EXPECT_TRUE(writer_->write_raw(digest, chunks[i], true));
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned worker = 0; worker < 4; ++worker) threads.emplace_back(work, worker);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(writer_->new_chunks(), chunks.size());
  EXPECT_EQ(writer_->new_bytes(), chunks.size() * 300);
  for (const Bytes& chunk : chunks) {
    const ChunkCopy found = writer_->find(blake3(chunk));
    EXPECT_EQ(found.copy.encoding == Encoding::kRaw, found.bases.empty());
    EXPECT_EQ(found.copy.decoded_bytes, 300u);
    EXPECT_NE(found.copy.stored_bytes, 0u);
  }
}

TEST_F(Writer, ProgressIsToldOfWhatProvesToBeNew) {
  EXPECT_TRUE(writer_->claim(digest_, true));
  EXPECT_EQ(progress_.new_bytes, 0u) << "it may be met elsewhere yet";
  ASSERT_TRUE(writer_->write_raw(digest_, data_, true));
  EXPECT_EQ(progress_.new_bytes, 1000u);
  ASSERT_TRUE(writer_->write_own(digest_, 1000, made_from(OwnPlace{1, 2, 3})));
  EXPECT_EQ(progress_.new_bytes, 1000u) << "the same chunk";
  const Bytes text = noise(500, 2);
  ASSERT_TRUE(writer_->write_raw(blake3(text), text, false));
  writer_->count_inline(8);
  EXPECT_EQ(progress_.new_bytes, 1508u);
  EXPECT_EQ(writer_->new_bytes(), 1008u) << "attachments are no part of it";
}

}  // namespace
}  // namespace cairn
