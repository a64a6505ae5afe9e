// Which parts may be united, with which base, and what gc may do meanwhile.
#include "lib/read_parts.h"

#include "store/session.h"
#include "tests/lib/parts_fixture.h"

namespace cairn {
namespace {

using ReadParts = PartsFixture;

TEST_F(ReadParts, OfAnotherTagOrStepAreRefused) {
  RankRequests all = cut_state("t", state_, {2, 1});
  all[0].step = all[1].step = 7;
  SavedParts parts = store_parts(all);
  SaveRequest request = uniting(all[0], parts);
  request.tag = "u";
  refuses(Code::kUsage, "a part of the tag 't' is no part of 'u'", request);
  request = uniting(all[0], parts);
  request.step = 8;
  refuses(Code::kUsage, "the parts of 't' are of other steps: step 8 and step 7", request);
  request.step.reset();
  refuses(Code::kUsage, "no step and step 7", request);
  request = uniting(all[0], parts);
  request.parts.push_back(request.parts[0]);
  refuses(Code::kUsage, "is named twice", request);
  request.parts = {"something"};
  refuses(Code::kUsage, "'something' is no name of a part of a save", request);
  request = uniting(all[0], parts);
  request.tensors = all[0].tensors;
  refuses(Code::kUsage, "a save that unites parts has no tensors itself", request);
}

TEST_F(ReadParts, OfAnotherStoreOrGoneOrDamagedAreRefused) {
  const RankRequests all = cut_state("t", state_, {2, 1});
  SavedParts parts = store_parts(all);
  const SaveRequest request = uniting(all[0], parts);
  const auto other_store = [&] {
    EXPECT_TRUE(Store::init(posix_fs(), folder_ / "other", store_->config()));
    return *Store::open(posix_fs(), folder_ / "other");
  }();
  EXPECT_TRUE(fails_with(Code::kNotFound, save(*other_store, request)));
  const std::string meta = path() + "/" + files_in("meta").front();
  Bytes bytes = *read_file(posix_fs(), meta, kMiB);
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_TRUE(posix_fs().remove(meta));
  ASSERT_TRUE(write_new_file(posix_fs(), meta, bytes));
  refuses(Code::kCorrupt, "a part of the save cannot be read", request);
  parts[0]->remove();
  parts[1]->keep();
  refuses(Code::kNotFound, "a part of the save cannot be read", request);
}

class PartsAndBases : public PartsFixture {
 protected:
  /// Parts of "run/2" that were compared with "run/1".
  void store_both(const Change& change = {}) {
    RankRequests first = cut_state("run/1", state_, {2, 1});
    ASSERT_TRUE(succeeds(save_together(first)));
    states_["run/1"] = state_;
    state_["even"] = state(90).at("even");
    all_ = cut_state("run/2", state_, {2, 1});
    for (SaveRequest& request : all_) {
      request.base = "run/1";
      if (change) change(request);
    }
    parts_ = store_parts(all_);
    request_ = uniting(all_[0], parts_);
  }
  void expect_second() {
    const auto saved = save(*store_, request_);
    ASSERT_TRUE(succeeds(saved));
    keep_all(parts_);
    states_["run/2"] = state_;
    collect_all();
    expect_sound();
  }

  RankRequests all_;
  SavedParts parts_;
  SaveRequest request_;
};

TEST_F(PartsAndBases, TheBaseIsThatOfTheParts) {
  store_both();
  request_.base.reset();
  save_alone("run/1b", state(70));  // a newer tag of the prefix
  const auto saved = save(*store_, request_);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_EQ(saved->base, "run/1");
  keep_all(parts_);
  states_["run/2"] = state_;
  expect_sound();
}

TEST_F(PartsAndBases, AnotherBaseIsRefused) {
  store_both();
  save_alone("other", state(70));
  request_.base = "other";
  refuses(Code::kUsage,
          "a part of 'run/2' was compared with 'run/1', where another was, or is to be, with "
          "'other'",
          request_);
  request_.base = "none";
  refuses(Code::kUsage, "compared with 'run/1'", request_);
  all_[1].base = "other";
  SavedParts more = store_parts({all_[1]});
  request_.base.reset();
  request_.parts[1] = more[0]->name();
  refuses(Code::kUsage, "compared with 'other', where another was, or is to be, with 'run/1'",
          request_);
}

TEST_F(PartsAndBases, ABaseThatIsGoneOrChangedIsRefused) {
  store_both();
  save_alone("run/1", state(70), IfExists::kReplace);
  refuses(Code::kBusy, "the tag 'run/1', which parts of 'run/2' were compared with, has changed",
          request_);
  forget({"run/1"});
  refuses(Code::kBusy, "the tag 'run/1', which parts of 'run/2' were compared with, has changed",
          request_);
}

/// The copies lie elsewhere by then; what the parts count on are the old ones.
TEST_F(PartsAndBases, ABaseThatIsElsewhereMeanwhileIsAsGood) {
  const State before = state_;
  store_both();
  const TagEntry first = *store_->find_tag("run/1");
  RankRequests again = cut_state("run/1", before, {2, 1});
  for (SaveRequest& request : again) request.if_exists = IfExists::kReplace;
  ASSERT_TRUE(succeeds(save_together(again)));
  const TagEntry second = *store_->find_tag("run/1");
  ASSERT_EQ(second.manifest.digest, first.manifest.digest);
  ASSERT_NE(second.table, first.table);
  collect_all();
  expect_second();
}

TEST_F(PartsAndBases, GcLeavesWhatLivingPartsCountOn) {
  store_both();
  const auto packs = files_in("packs");
  collect_all();
  EXPECT_EQ(files_in("packs"), packs);
  expect_second();
}

/// gc comes when the parts are read and before the commit; their processes are dead by then.
TEST_F(PartsAndBases, PacksThatGcTookAreSeenByTheCommit) {
  store_both();
  request_.check_sources = [&]() -> Status {
    for (const auto& part : parts_) {
      const auto session = *SessionId::parse(part->name().substr(0, 32));
      CAIRN_CHECK(posix_fs().remove(lease_path(path(), session)));
    }
    return collect(*store_, GcRequest{}) ? Status() : fail(Code::kFailed, "gc");
  };
  refuses(Code::kBusy, "was collected meanwhile", request_);
  expect_sound();
}

/// What a part's look-up found is protected by no lease.
TEST_F(PartsAndBases, PacksThatAPartHasFoundAreSeenByTheCommit) {
  State found = state(90);
  save_alone("elsewhere", found);
  std::map<Digest, Copy> known;
  const auto checkpoint = *open_tag(*store_, "elsewhere");
  for (uint32_t number = 0; number < checkpoint->table().pages.size(); ++number) {
    const auto page = *checkpoint->page(number);
    for (uint32_t slot = 0; slot < page->locator.copies.size(); ++slot) {
      known[page->digest_of(slot)] = page->locator.copies[slot];
    }
  }
  const auto look_up = [&](const std::vector<Digest>& wanted,
                           std::vector<std::optional<Copy>>& copies) -> Status {
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (known.contains(wanted[i])) copies[i] = known[wanted[i]];
    }
    return {};
  };
  store_both([&](SaveRequest& request) { request.look_up = look_up; });
  EXPECT_EQ(save(*store_,
                 [&] {
                   SaveRequest early = request_;
                   early.check_sources = [] { return fail(Code::kCancelled, "only a try"); };
                   return early;
                 }())
                .error()
                .code,
            Code::kCancelled);
  forget({"elsewhere"});
  collect_all();
  refuses(Code::kBusy, "was collected meanwhile", request_);
  expect_sound();
}

}  // namespace
}  // namespace cairn
