// A copy that follows tensors on devices: it is always theirs, byte by byte, and only chunks that
// have changed cross over.
#include "tests/lib/device/mirror_fixture.h"

#include <thread>

namespace cairn {
namespace {

class MirrorTest : public MirrorFixture {
 protected:
  /// Its chunks: the row of 160 Ki elements is halved until halves have no more than 8 Ki.
  static constexpr uint64_t kChunks = 32, kChunkBytes = kRows * 2048 / kChunks;
  Living& add_rows() { return add("w", Dtype::kBF16, shape_, 0); }

  /// Tensors of all kinds.
  void add_many() {
    add("rows", Dtype::kBF16, {40, 512}, 0);
    add("turned", Dtype::kF32, {100, 110}, 1, {4, 400});
    add("apart", Dtype::kF32, {90, 100}, 0, {800, 4});
    add("once", Dtype::kI16, {5, 1700}, 0, {0, 2});
    add("odd", Dtype::kU8, {20001}, 1);
    add("half bytes", Dtype::kF4, {300, 128}, 0);
    add("complex", Dtype::kC64, {3, 5, 100}, 1);
    add("small", Dtype::kF32, {33}, 0);
    add("step", Dtype::kI64, {}, 1);
    add("none", Dtype::kF32, {0, 3}, 0);
    add("host", Dtype::kF32, {5000}, std::nullopt);
    add("host turned", Dtype::kI16, {200, 300}, std::nullopt, {2, 400});
  }

  uint64_t draw(uint64_t below) { return random_() % below; }
  std::mt19937_64 random_{1};
};

TEST_F(MirrorTest, OnlyChunksThatChangedCrossOver) {
  gpu::in_any_order([&] {
    living_.clear();
    Living& w = add_rows();
    const MirrorResult first = update();
    expect_up_to_date();
    EXPECT_EQ(first.bytes, kChunks * kChunkBytes);
    EXPECT_GE(first.brought_bytes, first.bytes);
    EXPECT_TRUE(first.notes.empty());

    const uint64_t digests = kChunks * sizeof(Digest);
    const MirrorResult same = update();
    EXPECT_EQ(same.bytes, first.bytes);
    EXPECT_EQ(same.brought_bytes, digests) << "digests, and nothing else";

    change(w, 5 * kChunkBytes);
    change(w, 6 * kChunkBytes - 1);
    change(w, 13 * kChunkBytes + 77, 100);
    const MirrorResult two = update();
    expect_up_to_date();
    EXPECT_EQ(two.brought_bytes, digests + 2 * (kChunkBytes + sizeof(Digest)));
    mirror_.update({}).value();  // of no tensors: what it knew of others is gone
  });
}

TEST_F(MirrorTest, AChunkThatIsAsItWasBeforeComesAgain) {
  Living& w = add_rows();
  update();
  change(w, 9);
  update();
  change(w, 9);
  update();
  expect_up_to_date();
}

TEST_F(MirrorTest, TensorsOfAllKinds) {
  gpu::in_any_order([&] {
    living_.clear();
    add_many();
    update();
    expect_up_to_date();
    for (Living& each : living_) {
      if (!each.copy.empty()) change(each, each.content.size() / 2);
    }
    const MirrorResult second = update();
    expect_up_to_date();
    EXPECT_LT(second.brought_bytes, second.bytes / 2);
  });
}

TEST_F(MirrorTest, HundredsOfUpdates) {
  add_many();
  for (uint64_t turn = 0; turn < 200; ++turn) {
    gpu::simt::set_schedule(turn);
    for (uint64_t changes = draw(5); changes > 0; --changes) {
      Living& living = living_[draw(living_.size())];
      if (living.copy.empty()) continue;
      const uint64_t bytes =
          std::min<uint64_t>(1 + draw(draw(2) == 0 ? 4 : 40000), living.content.size());
      change(living, draw(living.content.size() - bytes + 1), bytes);
    }
    if (turn % 20 == 19) living_.pop_front();
    update();
    ASSERT_TRUE(is_up_to_date()) << "after update " << turn;
  }
}

/// Both would be taken for boxes of one tensor that overlap, were this a save.
TEST_F(MirrorTest, BoxesOfOneNameAreCopiesOfTheirOwn) {
  Living& one = add("w", Dtype::kBF16, shape_, 0);
  add("w", Dtype::kBF16, shape_, 0);
  update();
  change(one, 4);
  update();
  expect_up_to_date();
}

TEST_F(MirrorTest, ABoxOfATensorIsCopiedRowMajor) {
  const Bytes data = noise(kRows * 2048, 3);
  MirrorRequest request;
  request.tensors = on_device(cut("w", shape_, data, 1, 2, false));
  Bytes left(data.size() / 2), right(data.size() / 2);
  request.copies = {left.data(), right.data()};
  request.devices.staging = staging_.get();
  for (int turn = 0; turn < 2; ++turn) {
    ASSERT_TRUE(mirror_.update(request));
    for (size_t row = 0; row < kRows; ++row) {
      ASSERT_EQ(std::memcmp(&left[row * 1024], &data[row * 2048], 1024), 0);
      ASSERT_EQ(std::memcmp(&right[row * 1024], &data[row * 2048 + 1024], 1024), 0);
    }
  }
}

TEST_F(MirrorTest, OtherTensorsOrACopyElsewhereBeginAnew) {
  Living& w = add_rows();
  update();
  const auto expect_all = [&](const std::string& why) {
    EXPECT_GE(update().brought_bytes, w.copy.size()) << why;
    expect_up_to_date();
    EXPECT_LT(update().brought_bytes, w.copy.size() / 2) << why;
  };
  Bytes elsewhere(w.copy.size(), 1);
  w.copy.swap(elsewhere);
  expect_all("the copy is elsewhere");
  w.copy.assign(w.copy.size(), 3);
  w.source.dtype = Dtype::kF16;
  expect_all("another dtype");
  w.copy.assign(w.copy.size(), 4);
  w.source.shape = {2 * kRows, 512};
  w.source.box = whole_box(w.source.shape);
  w.source.strides_bytes = {1024, 2};
  EXPECT_LT(update().brought_bytes, w.copy.size() / 2) << "the same row of bytes";
  w.copy.assign(w.copy.size(), 5);
  w.source.name = "v";
  expect_all("another name");
  w.copy.assign(w.copy.size(), 6);
  add("more", Dtype::kF32, {3000}, 0);
  expect_all("more tensors");
}

TEST_F(MirrorTest, TheSourceMayBeElsewhere) {
  Living& w = add_rows();
  update();
  const gpu::OnDevice moved{ByteSpan(w.content)};
  w.source.data = moved.data();
  EXPECT_LT(update().brought_bytes, w.copy.size() / 2);
  expect_up_to_date();
}

TEST_F(MirrorTest, UpdatesBeginBehindTheCallersStream) {
  for (uint64_t seed = 0; seed < 9; ++seed) {
    gpu::simt::set_schedule(seed);
    living_.clear();
    Living& w = add_rows();
    update();
    const auto stream = gpu::must(gpu::OwnStream::make());
    w.content = gpu::random_content(w.content.size(), 100 + seed);
    const gpu::OnDevice made{ByteSpan(w.content)};
    gpu::must(gpu::copy_within(stream.stream(), w.there->data(), made.data(), w.content.size()));
    MirrorRequest wanted = request();
    wanted.devices.streams = {{0, stream.stream().handle}};
    ASSERT_TRUE(mirror_.update(wanted));
    expect_up_to_date();
  }
}

TEST_F(MirrorTest, TwoThreadsTakeTurns) {
  add_many();
  Living& w = living_.front();
  for (uint64_t turn = 0; turn < 5; ++turn) {
    change(w, turn * 1000, 30000);
    std::thread other([&] { update(); });
    update();
    other.join();
    expect_up_to_date();
  }
}

TEST_F(MirrorTest, ProgressIsTold) {
  Living& w = add_rows();
  update();
  change(w, 0);
  ProgressCounters progress;
  MirrorRequest wanted = request();
  wanted.call.progress = &progress;
  ASSERT_TRUE(mirror_.update(wanted));
  EXPECT_EQ(progress.total_bytes, w.copy.size());
  EXPECT_EQ(progress.done_bytes, w.copy.size());
  EXPECT_EQ(progress.new_bytes, kChunkBytes);
}

TEST_F(MirrorTest, WhatCannotBeCopiedIsNamed) {
  Living& w = add_rows();
  const auto expect_refused = [&](const MirrorRequest& wanted, const std::string& words) {
    const auto updated = mirror_.update(wanted);
    ASSERT_FALSE(updated);
    EXPECT_EQ(updated.error().code, Code::kUsage);
    EXPECT_NE(updated.error().message.find(words), std::string::npos) << updated.error().message;
  };
  MirrorRequest wanted = request();
  wanted.devices.staging = nullptr;
  expect_refused(wanted, "'w' is on device 0, and there is no staging");
  wanted = request();
  wanted.copies[0] = nullptr;
  expect_refused(wanted, "'w' has no copy");
  wanted.copies.clear();
  expect_refused(wanted, "not one copy for each");
  wanted = request();
  wanted.tensors[0].data = nullptr;
  expect_refused(wanted, "'w': box [0:160,0:1024] has no data");
  wanted = request();
  wanted.tensors[0].box.lengths[0] += 1;
  expect_refused(wanted, "'w': ");
  update();
  change(w, 7);
  update();
  expect_up_to_date();
}

}  // namespace
}  // namespace cairn
