// What tags read and add: exact on a small store, and of one mind on a series.
#include "lib/tag_usage.h"

#include "lib/restore_cost.h"
#include "lib/tensor.h"
#include "store/commit.h"
#include "store/usage.h"
#include "tests/lib/series_fixture.h"
#include "tests/store/forged_tag.h"
#include "tests/support/bare_lease.h"

namespace cairn {
namespace {

class Usage : public SeriesFixture {
 protected:
  static bool all(size_t) { return true; }

  UsageByClass usage_of(const std::string& tag, const WantsItem& wants = all) const {
    auto checkpoint = *open_tag(*store_, tag);
    const auto usage = tag_usage(*checkpoint, wants);
    EXPECT_TRUE(succeeds(usage));
    return usage ? *usage : UsageByClass();
  }
  UsageByClass beside(const std::string& a, const std::string& b,
                      const WantsItem& wants = all) const {
    auto first = *open_tag(*store_, a), second = *open_tag(*store_, b);
    const auto usage = usage_beside(*first, *second, wants);
    EXPECT_TRUE(succeeds(usage));
    return usage ? *usage : UsageByClass();
  }
  StoreUsage stats() const {
    const auto describe = [](const Checkpoint& checkpoint, const Layout& layout,
                             size_t number) -> Result<TensorFacts> {
      const TensorInfo& tensor = checkpoint.schema().tensors[number];
      CAIRN_TRY(const uint64_t bytes,
                checked_bytes(static_cast<Dtype>(tensor.dtype), tensor.shape));
      return TensorFacts{tensor_class(layout, number), bytes};
    };
    const auto usage = measure_usage(*store_, *store_->read_tags(), describe, nullptr);
    EXPECT_TRUE(succeeds(usage));
    return usage ? *usage : StoreUsage();
  }

  /// A tensor of opaque bytes and one of zeros.
  static State plain(const Bytes& data) {
    State state;
    state["data"] = {Dtype::kU8, {data.size()}, Role::kNone, "", data};
    state["zeros"] = {Dtype::kU8, {3000}, Role::kWeight, "", Bytes(3000)};
    return state;
  }
  /// `count` steps of a run, tags t/0 and so on.
  void save_run(int count) {
    trainer_.add("a", {64, 128});
    trainer_.add("b", {64, 65});
    for (int step = 0; step < count; ++step) {
      trainer_.step();
      save_trainer(std::to_string(step), trainer_);
    }
  }

  Trainer trainer_{1};
};

TEST_F(Usage, OfATagThatStandsByItself) {
  Bytes data = noise(4000, 1);
  save_state("1", plain(data));
  const UsageByClass expected = {{"other", {{Encoding::kRaw, {4, 4000, 4000}}}},
                                 {"weight", {{Encoding::kZero, {4, 3000, 0}}}}};
  EXPECT_EQ(usage_of("1"), expected) << "each chunk as often as it stands there";
  EXPECT_EQ(usage_of("1", [](size_t item) { return item == 1; }).size(), 1u);
  // The four chunks of zeros are one.
  const UsageByClass distinct = {{"other", {{Encoding::kRaw, {4, 4000, 4000}}}},
                                 {"weight", {{Encoding::kZero, {1, 750, 0}}}}};
  EXPECT_EQ(stats().by_class_and_encoding, distinct);
}

TEST_F(Usage, OfATagBesideAnother) {
  Bytes data = noise(4000, 1);
  save_state("1", plain(data));
  data[2500] ^= 1;
  save_state("2", plain(data), {}, [](SaveRequest& request) { request.base = "none"; });
  EXPECT_TRUE(beside("1", "1").empty());
  EXPECT_TRUE(beside("2", "1", [](size_t item) { return item == 1; }).empty());
  const EncodingUsage all_of_it{4, 4000, 4000};
  EXPECT_EQ(beside("1", "2").at("other").at(Encoding::kRaw), all_of_it) << "stored a second time";
}

TEST_F(Usage, SumsOfASeriesAgree) {
  save_run(6);
  bool has_history = false;
  for (const auto& [tag, state] : states_) {
    auto checkpoint = *open_tag(*store_, tag);
    EncodingUsage own, history;
    LoadTime time;
    for (const auto& [class_name, encodings] : usage_of(tag)) {
      (class_name == kHistoryClass ? history : own) += sum_of(encodings);
      for (const auto& [held, each] : encodings) time += load_time(class_name, held, each);
    }
    uint64_t stored = 0;
    for (size_t number = 0; number < state.size(); ++number) {
      stored += describe_tensor(*checkpoint, number)->stored_bytes;
    }
    EXPECT_EQ(own.decoded_bytes, checkpoint->tag().facts.logical_bytes);
    EXPECT_EQ(own.stored_bytes, stored);
    const double cost = *restore_cost(*checkpoint);
    if (history.chunks == 0) {
      EXPECT_EQ(cost, 1);
    } else {
      EXPECT_NEAR(*time.cost(), cost, 1e-9) << "what the rows take is what the tag takes";
      has_history = true;
    }
  }
  EXPECT_TRUE(has_history);
}

TEST_F(Usage, ASecondTagAddsWhatDiffSays) {
  save_run(2);
  const UsageByClass both = stats().by_class_and_encoding;
  const UsageByClass added = beside("0", "1");
  EXPECT_TRUE(beside("1", "0").empty()) << "all of it is what the later tag is made from";
  forget({"1"});
  UsageByClass sum = stats().by_class_and_encoding;
  for (const auto& [class_name, encodings] : added) {
    EXPECT_NE(class_name, kHistoryClass) << "which the first tag holds";
    for (const auto& [held, each] : encodings) sum[class_name][held] += each;
  }
  EXPECT_EQ(sum, both);
}

TEST_F(Usage, OfTheStoreAddsUp) {
  save_run(5);
  forget({"1", "3"});
  const StoreUsage usage = stats();
  EXPECT_TRUE(usage.by_class_and_encoding.contains(std::string(kHistoryClass)));
  UsageByEncoding of_tags;
  for (const auto& [tag, each] : usage.by_tag) {
    for (const auto& [held, added] : each.added) of_tags[held] += added;
    auto checkpoint = *open_tag(*store_, tag);
    EXPECT_DOUBLE_EQ(restore_cost(each.read, loaded_bytes(checkpoint->tag().facts)),
                     *restore_cost(*checkpoint));
  }
  EXPECT_EQ(of_tags, sum_by_encoding(usage.by_class_and_encoding));
  for (const auto& [name, of_class] : usage.by_class) {
    if (name == "metadata") continue;
    EXPECT_EQ(sum_of(usage.by_class_and_encoding.at(name)).stored_bytes, of_class.stored_bytes);
  }
}

/// Copies by hand: the bases of a tag are one of zeros and, at the same place in the pack, a raw
/// one.
class UsageOfForged : public ForgedTags {
 protected:
  void expect_history(bool zero_first) {
    const Bytes zeros(kChunkBytes), data = noise(kChunkBytes, 1);
    const Copy zero = put(Encoding::kZero, {}, blake3(zeros)), raw = put_raw(data);
    ASSERT_EQ(zero.offset, raw.offset);
    std::vector<Digest> below = {blake3(zeros), blake3(data)};
    std::vector<Copy> copies = {zero, raw};
    if (!zero_first) std::swap(below[0], below[1]), std::swap(copies[0], copies[1]);
    const auto bases = open(below, copies);
    session_ = *SessionId::fresh();
    pack_ = *OpenPack::begin(posix_fs(), path(), {session_, 0});
    std::vector<Digest> digests;
    std::vector<Copy> made;
    for (uint32_t slot = 0; slot < 2; ++slot) {
      const Bytes own = noise(kChunkBytes, 2 + slot);
      digests.push_back(blake3(own));
      made.push_back(put_raw(own));
      made.back().bases = {{page_digest(below), slot}};
    }
    commit(open(digests, made, {bases->table().pages[0]})->tag());
    const auto describe = [](const Checkpoint&, const Layout&, size_t) -> Result<TensorFacts> {
      return TensorFacts{"other", 2 * kChunkBytes};
    };
    const auto usage = measure_usage(*store_, *store_->read_tags(), describe, nullptr);
    ASSERT_TRUE(succeeds(usage));
    const auto history = usage->by_class.find(std::string(kHistoryClass));
    ASSERT_NE(history, usage->by_class.end());
    EXPECT_EQ(history->second.stored_bytes, kChunkBytes);
    EXPECT_EQ(usage->dead_bytes, 0u);
  }
  void commit(TagEntry entry) {
    CommitFailure failure;
    const BareLease lease(path(), entry.session);
    ASSERT_TRUE(succeeds(
        commit_tag(*store_, entry, IfExists::kError, {}, std::chrono::seconds(0), failure)));
  }
};

TEST_F(UsageOfForged, ABaseBehindAZeroOneCounts) { expect_history(true); }
TEST_F(UsageOfForged, ABaseBeforeAZeroOneCounts) { expect_history(false); }

}  // namespace
}  // namespace cairn
