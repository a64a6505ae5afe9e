// What loads are estimated to take.
#include "lib/restore_cost.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

TEST(RestoreSeconds, GrowWithWhatIsReadAndDecoded) {
  Copy copy;
  copy.stored_bytes = 1000, copy.decoded_bytes = 2000;
  Copy more = copy;
  more.stored_bytes = 2000;
  EXPECT_LT(restore_seconds(copy), restore_seconds(more));
  more = copy;
  more.decoded_bytes = 4000;
  EXPECT_LT(restore_seconds(copy), restore_seconds(more));
  more = copy;
  more.encoding = Encoding::kZstd;
  EXPECT_LT(restore_seconds(copy), restore_seconds(more));
  EXPECT_LT(keyframe_seconds(1000), keyframe_seconds(2000));
  EXPECT_EQ(keyframe_seconds(0), 0);
  EXPECT_LT(deliver_seconds(1000), deliver_seconds(2000));
}

TEST(LoadTime, OfAKeyframeIsOne) {
  const LoadTime time = load_time("weight", Encoding::kPlanes, {1, 4000, 3000});
  EXPECT_DOUBLE_EQ(*time.cost(), 1);
  EXPECT_DOUBLE_EQ(time.seconds, 1.7e-9 * 4000);
}

TEST(LoadTime, IsReadingDecodingAndHandingOut) {
  const LoadTime raw = load_time("weight", Encoding::kRaw, {1, 1000, 1000});
  EXPECT_DOUBLE_EQ(raw.seconds, 1e-9 * 1000 * (0.4 + 0.1 + 0.8));
  EXPECT_DOUBLE_EQ(*raw.cost(), 1.3 / 1.7);
  const LoadTime in_page = load_time("step", std::nullopt, {1, 1000, 1000});
  EXPECT_DOUBLE_EQ(in_page.seconds, deliver_seconds(1000)) << "the page is read anyway";
}

TEST(LoadTime, HistoryComesOnTopOfWhatIsHandedOut) {
  const EncodingUsage delta{1, 1000, 300};
  const LoadTime history = load_time(kHistoryClass, Encoding::kDelta, delta);
  EXPECT_FALSE(history.cost());
  EXPECT_DOUBLE_EQ(history.seconds, restore_seconds(Encoding::kDelta, delta));
  LoadTime both = load_time("weight", Encoding::kDelta, delta);
  both += history;
  EXPECT_GT(*both.cost(), 1);
}

TEST(RestoreCost, OfWhatALoadReads) {
  EXPECT_EQ(restore_cost(UsageByEncoding(), 1000), 1);
  const UsageByEncoding read = {{Encoding::kPlanes, {1, 1000, 750}},
                                {Encoding::kReplay, {1, 1000, 0}}};
  EXPECT_DOUBLE_EQ(restore_cost(read, 1000), (1.7 + 0.4) / 1.7);
  EXPECT_EQ(restore_cost(read, 0), 1);
}

}  // namespace
}  // namespace cairn
