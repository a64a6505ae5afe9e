// Which copy of the base lies where a chunk or a piece of the new tag does.
#include "lib/base_tag.h"

#include "lib/save_plan.h"
#include "tests/lib/series_fixture.h"

namespace cairn {
namespace {

class BaseUnits : public SeriesFixture {
 protected:
  void save_base(const Cut& cut) {
    state_["w"] = {Dtype::kF32, {100, 40}, Role::kMaster, "w", noise(16000, 1)};
    state_["small"] = {Dtype::kF32, {64}, Role::kMaster, "s", noise(256, 2)};
    save_state("base", state_, {}, {}, cut);
    base_ = *BaseTag::open(*store_, *store_->find_tag("base"));
  }
  void match(const State& state) {
    const SaveRequest request = request_of("next", state, {1, 0});
    plan_ = *plan_save(request, store_->config());
    base_->match(plan_.schema, {});
    for (size_t item = 0; item < plan_.schema.tensors.size(); ++item) {
      if (plan_.schema.tensors[item].name == "w") w_ = item;
      if (plan_.schema.tensors[item].name == "small") small_ = item;
    }
  }

  State state_;
  std::unique_ptr<BaseTag> base_;
  SavePlan plan_;
  size_t w_ = 0, small_ = 0;
};

TEST_F(BaseUnits, AreFoundByPlace) {
  save_base({1, 0});
  match(state_);
  auto& checkpoint = base_->checkpoint();
  const uint64_t chunks = plan_.schema.tensors[w_].chunk_count;
  ASSERT_EQ(chunks, 4u);
  std::set<CopyRef> refs;
  for (uint64_t chunk = 0; chunk < chunks; ++chunk) {
    const auto unit = base_->unit_at(w_, chunk, nullptr);
    ASSERT_TRUE(unit);
    refs.insert(unit->ref);
    EXPECT_EQ(*checkpoint.page_numbers().resolve(unit->named), unit->ref);
    EXPECT_EQ((*checkpoint.page(unit->ref.page))->digest_of(unit->ref.slot), unit->digest);
    EXPECT_EQ(unit->decoded_bytes, 4000u);
    const Box piece{{0, 0}, {25, 40}};
    EXPECT_FALSE(base_->unit_at(w_, chunk, &piece)) << "the base has it whole";
  }
  EXPECT_EQ(refs.size(), chunks);
  EXPECT_FALSE(base_->unit_at(w_, chunks, nullptr));
  EXPECT_FALSE(base_->unit_at(small_, 0, nullptr)) << "it lies in its page";
}

TEST_F(BaseUnits, OfPiecesTheOneOfTheSameBox) {
  save_base({2, 1});
  match(state_);
  const Box left{{25, 0}, {25, 20}}, right{{25, 20}, {25, 20}}, other{{25, 0}, {25, 21}};
  const auto a = base_->unit_at(w_, 1, &left), b = base_->unit_at(w_, 1, &right);
  ASSERT_TRUE(a && b);
  EXPECT_NE(a->ref, b->ref);
  EXPECT_NE(a->digest, b->digest);
  EXPECT_EQ(a->decoded_bytes, 2000u);
  EXPECT_FALSE(base_->unit_at(w_, 1, &other));
  EXPECT_FALSE(base_->unit_at(w_, 0, &left)) << "of another chunk";
  EXPECT_FALSE(base_->unit_at(w_, 1, nullptr)) << "the base has it in pieces";
}

TEST_F(BaseUnits, OtherShapesAndDtypesHaveNone) {
  save_base({1, 0});
  State other = state_;
  other["w"].shape = {40, 100};
  match(other);
  EXPECT_FALSE(base_->unit_at(w_, 0, nullptr));
  other["w"] = state_["w"];
  other["w"].dtype = Dtype::kI32;
  match(other);
  EXPECT_FALSE(base_->unit_at(w_, 0, nullptr));
  other = {{"v", state_["w"]}};
  match(other);
  EXPECT_FALSE(base_->unit_at(0, 0, nullptr)) << "another name";
}

TEST_F(BaseUnits, PagesAreFoundByDigest) {
  save_base({1, 0});
  match(state_);
  const LocatorTable& table = base_->checkpoint().table();
  const PagePlace& place = table.pages.at(0);
  EXPECT_EQ(base_->page_of(place.page.digest), place);
  EXPECT_FALSE(base_->page_of(place.locator.digest));
  EXPECT_EQ(base_->equal_page(place.page.digest, place.locator.digest), place);
  EXPECT_FALSE(base_->equal_page(place.page.digest, place.page.digest));
}

}  // namespace
}  // namespace cairn
