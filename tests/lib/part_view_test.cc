// A part that is damaged, or made to harm, is refused or does no harm.
#include "lib/part_view.h"

#include "store/meta_pack.h"
#include "tests/lib/parts_fixture.h"
#include "tests/store/format_damage.h"

namespace cairn {
namespace {

class PartViews : public PartsFixture {
 protected:
  void SetUp() override {
    PartsFixture::SetUp();
    std::erase_if(state_, [](const auto& each) {
      return each.first != "even" && each.first != "in.page" && each.first != "odd";
    });
    requests_ = cut_state("t", state_, {1, 2});
    requests_[0].attachments = {{"note", as_bytes("hello")}};
    saved_ = store_parts(requests_);
    FilePool files(posix_fs(), path(), OpenMode::kRead);
    for (const auto& each : saved_) {
      bytes_.push_back(*read_object(files, *parse_part_name(each->name())));
      parts_.push_back(*decode_part(bytes_.back()));
    }
  }

  Status check() const {
    SaveRequest request;
    request.tag = "t";
    CAIRN_TRY(const SavePlan plan, plan_merged(request, parts_, store_->config()));
    for (uint32_t number = 0; number < parts_.size(); ++number) {
      CAIRN_CHECK(PartView(parts_[number], number, plan).check());
    }
    return {};
  }
  PartUnit& unit_of(bool is_stored) {
    return *std::find_if(parts_[0].units.begin(), parts_[0].units.end(),
                         [&](const PartUnit& unit) { return unit.is_stored() == is_stored; });
  }

  RankRequests requests_;
  SavedParts saved_;
  std::vector<Bytes> bytes_;
  std::vector<Part> parts_;
};

TEST_F(PartViews, UnitsMustBeOfThePlan) {
  ASSERT_TRUE(succeeds(check()));
  const Part good = parts_[0];
  const auto refuses = [&](const char* what) {
    EXPECT_TRUE(fails_with(Code::kCorrupt, check())) << what;
    parts_[0] = good;
  };
  unit_of(true).chunk = 4;
  refuses("a chunk that the tensor has not");
  unit_of(true).piece->offsets[0] += 64;
  refuses("a piece of another chunk");
  unit_of(true).piece->lengths = {1};
  refuses("a piece of another rank");
  unit_of(true).piece->lengths[0] = UINT64_MAX;
  refuses("a piece that leaves the numbers");
  parts_[0].copies.copies[0].decoded_bytes -= 1;
  refuses("a copy of another length");
  std::get<Bytes>(unit_of(false).content).pop_back();
  refuses("bytes of another length");
  unit_of(false).content = Digest{};
  parts_[0].copies.copies.push_back(parts_[0].copies.copies[0]);
  refuses("a copy of what lies in its page");
}

TEST_F(PartViews, AnAttachmentThatIsCutOtherwiseIsNoneOfThePlan) {
  parts_[1].attachments = {{"note", 5, ChunkEdges::told({3, 5})}};
  parts_[1].units.push_back({2, 12345, {}, Bytes(5), false});
  SaveRequest request;
  request.tag = "t";
  const SavePlan plan = *plan_merged(request, parts_, store_->config());
  const PartView view(parts_[1], 1, plan);
  ASSERT_EQ(parts_[1].schema.tensors.size(), 3u);
  parts_[1].units.back().item = 3;
  EXPECT_FALSE(view.is_of_plan(parts_[1].units.back()));
  EXPECT_TRUE(view.is_of_plan(parts_[1].units.front()));
  EXPECT_TRUE(succeeds(view.check()));
  EXPECT_EQ(view.holder(3), "part 1");
  EXPECT_EQ(view.holder(0), "rank 1");
}

/// Bytes that were changed and have a digest of their own: no crash, and what is made loads or is
/// told to be damaged.
TEST_F(PartViews, ChangedBytesDoNoHarm) {
  const SessionId session = parts_[0].session;
  uint32_t made = 0, refused = 0;
  const auto unite = [&](ByteSpan changed) {
    MetaWriter metas(posix_fs(), path(), session);
    const auto reference = metas.add(ObjectKind::kPart, changed);
    const std::string file = path() + "/" + relative_path(FileKind::kMeta, {session, 0});
    ASSERT_TRUE(posix_fs().remove(file));
    ASSERT_TRUE(metas.finish());
    SaveRequest request = uniting(requests_[0], saved_);
    request.if_exists = IfExists::kReplace;
    request.parts[0] = part_name(*reference);
    const auto united = save(*store_, request);
    ++(united ? made : refused);
    if (!united) {
      ASSERT_NE(united.error().code, Code::kBug) << united.error().message;
      return;
    }
    states_["t"] = state_;
    (void)load_state("t").has_value();
  };
  for (size_t position = 0; position < bytes_[0].size(); position += 13) {
    Bytes changed = bytes_[0];
    changed[position] ^= static_cast<uint8_t>(1u << (position / 13 % 8));
    unite(changed);
    ASSERT_FALSE(HasFatalFailure()) << position;
  }
  EXPECT_GT(made, 0u);
  EXPECT_GT(refused, made / 4);
  unite(bytes_[0]);
  expect_sound();
}

}  // namespace
}  // namespace cairn
