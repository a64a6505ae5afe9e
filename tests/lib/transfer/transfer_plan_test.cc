// What a plan asks for, of tags that no save would write too.
#include "lib/transfer/transfer_plan.h"

#include "tests/store/forged_tag.h"
#include "tests/support/outcome.h"

namespace cairn {
namespace {

using TransferPlanTest = ForgedTags;

TEST_F(TransferPlanTest, NoRoomIsMadeForWhatNoChunkHas) {
  const Bytes bytes = noise(kChunkBytes, 1);
  const Copy whole = put_raw(bytes);
  for (const bool is_stored : {true, false}) {
    Copy copy = whole;
    (is_stored ? copy.stored_bytes : copy.decoded_bytes) = 0xfffffff0;
    const auto checkpoint = open({blake3(bytes)}, {copy});
    StandingCopies none(nullptr, nullptr);
    const auto plan = plan_transfer(*checkpoint, *cargo_of(*checkpoint, {0}), none, 1, nullptr);
    ASSERT_TRUE(fails_with(Code::kCorrupt, plan));
    const std::string pack = relative_path(FileKind::kPack, copy.pack);
    EXPECT_NE(plan.error().message.find(pack), std::string::npos) << plan.error().message;
  }
}

TEST_F(TransferPlanTest, CopiesOfOnePlaceAreFetchedOnce) {
  const Bytes bytes = noise(kChunkBytes, 1);
  const Copy copy = put_raw(bytes);
  const auto checkpoint = open({blake3(bytes), blake3(bytes)}, {copy, copy});
  StandingCopies none(nullptr, nullptr);
  const auto plan = plan_transfer(*checkpoint, *cargo_of(*checkpoint, {0}), none, 1, nullptr);
  ASSERT_TRUE(succeeds(plan));
  EXPECT_EQ(plan->fetches.size(), 1u);
  EXPECT_EQ(plan->fetch_bytes, kChunkBytes);
}

}  // namespace
}  // namespace cairn
