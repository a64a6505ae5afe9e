#include "store/gc/alone_share.h"

#include <gtest/gtest.h>

#include "base/encodings/item_form.h"
#include "store/seal.h"

namespace cairn {
namespace {

Copy copy(Encoding encoding, uint8_t item_bytes, uint32_t stored, uint32_t decoded) {
  const Bytes form = {encode_item_form({item_bytes, true})};
  return {{}, 0, stored, decoded, encoding, {}, seal_parameters(form, {})};
}

TEST(AloneShare, AsTheKeyframeThatItGoesBackTo) {
  DecodePlan plan;
  plan.copies = {{{9, 4}, copy(Encoding::kPlanes, 4, 900, 1000), {}, {}},
                 {{9, 5}, copy(Encoding::kPlanes, 4, 100, 1000), {}, {}},
                 {{8, 4}, copy(Encoding::kDelta, 4, 50, 1000), {}, {1, 0}},
                 {{1, 4}, copy(Encoding::kDelta, 4, 40, 1000), {}, {2}}};
  EXPECT_EQ(AloneShares().stored_bytes(plan, 3), 900u);
}

TEST(AloneShare, ElseAsKeyframesOfSuchItemsDo) {
  AloneShares shares;
  DecodePlan plan;
  plan.copies = {{{9, 4}, copy(Encoding::kPlanes, 4, 900, 2000), {}, {}},
                 {{1, 2}, copy(Encoding::kDerived, 2, 5, 1000), {}, {0}}};
  EXPECT_EQ(shares.stored_bytes(plan, 1), 750u);
  shares.note(copy(Encoding::kPlanes, 4, 100, 1000));
  shares.note(copy(Encoding::kDelta, 2, 100, 1000));
  EXPECT_EQ(shares.stored_bytes(plan, 1), 750u) << "of other items, or no keyframe";
  shares.note(copy(Encoding::kPlanes, 2, 600, 1000));
  EXPECT_EQ(shares.stored_bytes(plan, 1), 600u);
}

}  // namespace
}  // namespace cairn
