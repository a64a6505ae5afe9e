#include "gpu/rank_talk.h"

#include "tests/gpu/fake_transport.h"
#include "tests/gpu/kernel_fixture.h"

namespace cairn::gpu {
namespace {

Status back(const Status& status) {
  Bytes told(kToldStatusBytes);
  tell_status(status, told);
  return told_status(told);
}

TEST(RankTalk, StatusesTravel) {
  EXPECT_TRUE(back({}));
  const Status status = back(fail(Code::kNoSpace, "disk full", "make room"));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kNoSpace);
  EXPECT_EQ(status.error().message, "disk full");
  EXPECT_EQ(status.error().hint, "make room");
}

TEST(RankTalk, LongTextsAreCutBetweenCharacters) {
  std::string text(2000, 'x');
  for (size_t i = 1; i + 1 < text.size(); i += 2) text.replace(i, 2, "\u00e9");
  const Status status = back(fail(Code::kFailed, text, text));
  for (const std::string& each : {status.error().message, status.error().hint}) {
    EXPECT_GT(each.size(), 250u);
    EXPECT_EQ(text.substr(0, each.size()), each);
    EXPECT_EQ(each.size() % 2, 1u);
  }
}

TEST(RankTalk, NoiseIsNoStatus) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Bytes told = random_content(kToldStatusBytes, seed);
    if (seed % 2 == 0) {  // only what is behind the magic
      Bytes well(kToldStatusBytes);
      tell_status({}, well);
      std::copy_n(well.begin(), 4, told.begin());
    }
    const Status status = told_status(told);
    EXPECT_TRUE(status || status.error().message.size() <= kToldStatusBytes);
  }
  EXPECT_EQ(told_status(Bytes(kToldStatusBytes)).error().code, Code::kCorrupt);
}

TEST(RankTalk, AllAgree) {
  FakeGroup group(5);
  for (const Status& status :
       over_fake(group, [](Transport& each) { return agree(each, "plan", {}, Digest()); }))
    must(status);
}

TEST(RankTalk, TheErrorOfOneIsTheErrorOfAll) {
  FakeGroup group(4);
  const auto ended = over_fake(group, [](Transport& each) {
    const bool is_bad = each.rank() == 2 || each.rank() == 3;
    const Status own = is_bad ? fail(Code::kNoSpace, "no room", "make some") : Status();
    return agree(each, "plan", own, Digest());
  });
  for (const unsigned rank : {0, 1}) {
    EXPECT_EQ(ended[rank].error().message, "rank 2: no room");
    EXPECT_EQ(ended[rank].error().hint, "make some");
    EXPECT_EQ(ended[rank].error().code, Code::kNoSpace);
  }
  EXPECT_EQ(ended[2].error().message, "no room");
  EXPECT_EQ(ended[3].error().message, "no room");
}

TEST(RankTalk, WhoDiffersIsNamed) {
  FakeGroup group(5);
  const auto ended = over_fake(group, [](Transport& each) {
    Digest digest;
    digest.bytes[0] = each.rank() == 1 || each.rank() == 4;
    return agree(each, "list of units", {}, digest);
  });
  for (const Status& status : ended) {
    EXPECT_EQ(status.error().code, Code::kUsage);
    EXPECT_EQ(status.error().message,
              "the list of units of ranks 1 and 4 differs from that of ranks 0, 2 and 3");
  }
}

}  // namespace
}  // namespace cairn::gpu
