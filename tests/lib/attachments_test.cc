// Attachments by the public API: what was saved loads, whatever the rule that cut it; where the
// content cuts, what has moved is not stored again.
#include "store/attachment.h"

#include "store/meta_pack.h"
#include "store/thin.h"
#include "tests/lib/parts_fixture.h"

namespace cairn {
namespace {

constexpr uint64_t kAverage = 16 * kKiB;

class Attachments : public PartsFixture {
 protected:
  void SetUp() override { begin(true); }

  /// An empty store.
  void begin(bool content_cuts) {
    Config config;
    config.chunk_elements = 1024;
    config.opaque_chunk_bytes = kAverage;
    if (!content_cuts) config.features = {};
    store_.reset();
    std::filesystem::remove_all(path());
    ASSERT_TRUE(succeeds(Store::init(posix_fs(), path(), config)));
    store_ = *Store::open(posix_fs(), path());
  }

  static SaveRequest request_of(const std::string& tag, const std::map<std::string, Bytes>& files) {
    SaveRequest request;
    request.tag = tag;
    for (const auto& [name, bytes] : files) request.attachments.push_back({name, bytes});
    return request;
  }

  uint64_t stored_by(const std::string& tag, const std::map<std::string, Bytes>& files) const {
    const auto saved = save(*store_, request_of(tag, files));
    EXPECT_TRUE(succeeds(saved));
    return saved ? saved->facts.stored_bytes : 0;
  }

  void expect_holds(const std::string& tag, const std::map<std::string, Bytes>& files) const {
    const auto checkpoint = *open_tag(*store_, tag);
    for (const auto& [name, bytes] : files) {
      Bytes read;
      ASSERT_TRUE(succeeds(read_attachment(*checkpoint, name, [&](ByteSpan part) -> Status {
        append_bytes(read, part);
        return {};
      }))) << tag;
      EXPECT_TRUE(read == bytes) << tag << ' ' << name;
    }
    EXPECT_TRUE(check_all().damage.empty());
  }

  static Bytes with_words(Bytes bytes, size_t at, size_t words) {
    const Bytes added = noise(4 * words, 77);
    bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), added.begin(), added.end());
    return bytes;
  }
};

TEST_F(Attachments, AnInsertionStoresWhatItTouches) {
  const Bytes first = noise(4 * kMiB, 1);
  EXPECT_GE(stored_by("run/1", {{"data", first}}), first.size());
  const Bytes second = with_words(first, 1000, 9), third = with_words(second, 3 * kMiB, 5000);
  EXPECT_LE(stored_by("run/2", {{"data", second}}), 8 * kAverage);
  EXPECT_LE(stored_by("run/3", {{"data", third}}), 8 * kAverage + 20000);
  const Bytes back(third.begin() + kMiB, third.end());
  EXPECT_LE(stored_by("run/4", {{"data", back}}), 8 * kAverage) << "the front is gone";
  expect_holds("run/1", {{"data", first}});
  expect_holds("run/2", {{"data", second}});
  expect_holds("run/3", {{"data", third}});
  expect_holds("run/4", {{"data", back}});
  forget({"run/1", "run/2"});
  collect_all();
  expect_holds("run/3", {{"data", third}});
  expect_holds("run/4", {{"data", back}});
}

TEST_F(Attachments, RunsOfOldStoresStayRuns) {
  begin(false);
  const Bytes first = noise(kMiB + 5, 1), second = with_words(first, 1000, 9);
  stored_by("run/1", {{"data", first}, {"empty", {}}});
  EXPECT_GE(stored_by("run/2", {{"data", second}}), first.size()) << "all runs have moved";
  EXPECT_LE(stored_by("run/3", {{"data", second}}), kAverage) << "all are where they were";
  const auto checkpoint = *open_tag(*store_, "run/1");
  const Manifest& manifest = checkpoint->manifest();
  EXPECT_EQ(manifest.attachments[0].edges, ChunkEdges::runs(first.size(), kAverage));
  EXPECT_EQ(encode_manifest(manifest)[4], 1) << "of the first version";
  expect_holds("run/1", {{"data", first}, {"empty", {}}});
  expect_holds("run/2", {{"data", second}});
}

TEST_F(Attachments, OfEveryLengthLoad) {
  std::map<std::string, Bytes> files;
  for (const uint64_t bytes :
       {uint64_t{0}, uint64_t{1}, uint64_t{3}, uint64_t{256}, uint64_t{257}, kAverage / 4 - 1,
        kAverage / 4, kAverage, 4 * kAverage, 4 * kAverage + 1, 9 * kAverage + 7}) {
    files[fmt::format("noise{}", bytes)] = noise(bytes, static_cast<uint32_t>(bytes));
    files[fmt::format("same{}", bytes)] = Bytes(bytes, 7);
  }
  stored_by("t", files);
  expect_holds("t", files);
}

TEST_F(Attachments, TellTheEdgesThatTheRuleMakes) {
  const Bytes bytes = noise(kMiB + 3, 4);
  stored_by("t", {{"data", bytes}});
  const auto checkpoint = *open_tag(*store_, "t");
  const ChunkEdges& edges = checkpoint->manifest().attachments[0].edges;
  ASSERT_TRUE(edges.are_told());
  EXPECT_GT(edges.count(), kMiB / kAverage / 2);
  for (uint64_t chunk = 0; chunk < edges.count(); ++chunk) {
    EXPECT_LE(edges.length(chunk), 4 * kAverage);
    if (chunk + 1 < edges.count()) {
      EXPECT_GE(edges.length(chunk), kAverage / 4);
    }
  }
}

TEST_F(Attachments, EdgesOfAnotherStoreAreRefused) {
  stored_by("t", {{"data", noise(kMiB, 4)}});
  const TagEntry good = *store_->find_tag("t");
  const Manifest told = *decode_manifest(*read_object(store_->meta_files(), good.manifest));
  const auto open_with = [&](const ChunkEdges& edges) {
    Manifest manifest = told;
    manifest.attachments[0].edges = edges;
    MetaWriter metas(posix_fs(), path(), *SessionId::fresh());
    TagEntry entry = good;
    entry.manifest = *metas.add(ObjectKind::kManifest, encode_manifest(manifest));
    EXPECT_TRUE(metas.finish());
    return Checkpoint::open(*store_, entry);
  };
  EXPECT_TRUE(fails_with(Code::kCorrupt, open_with(ChunkEdges::runs(kMiB, kAverage))));
  EXPECT_TRUE(fails_with(Code::kCorrupt, open_with(ChunkEdges::told({kMiB}))));
  ask_for({});
  EXPECT_TRUE(fails_with(Code::kCorrupt, open_tag(*store_, "t"))) << "a store of runs";
}

TEST_F(Attachments, OfSeveralRanksMoveToo) {
  const Bytes first = noise(2 * kMiB, 5), second = with_words(first, 40, 3);
  State state;
  state["w"] = {Dtype::kF32, {64, 40}, Role::kNone, "", noise(64 * 40 * 4, 6)};
  const auto save_by_two = [&](const std::string& tag, const Bytes& mine, const Bytes& theirs) {
    RankRequests all = cut_state(tag, state, {2, 1});
    for (SaveRequest& request : all) request.base.reset();
    all[0].attachments = {{"shared", mine}};
    all[1].attachments = {{"own", theirs}, {"shared", theirs}};
    return save_together(all);
  };
  ASSERT_TRUE(succeeds(save_by_two("run/1", first, first)));
  const auto moved = save_by_two("run/2", second, second);
  ASSERT_TRUE(succeeds(moved));
  EXPECT_LE(moved->facts.stored_bytes, 20 * kAverage);
  EXPECT_TRUE(moved->warnings.empty());
  expect_holds("run/2", {{"own", second}, {"shared", second}});
  // As long, but other bytes and so other edges: the first part's count.
  Bytes other = noise(second.size(), 7);
  const auto differing = save_by_two("run/3", second, other);
  ASSERT_TRUE(succeeds(differing));
  ASSERT_EQ(differing->warnings.size(), 1u);
  EXPECT_NE(differing->warnings[0].find("attachment 'shared' of part 1 differs"), std::string::npos)
      << differing->warnings[0];
  expect_holds("run/3", {{"own", other}, {"shared", second}});
}

TEST_F(Attachments, StayWhenTensorsAreThinnedOut) {
  const Bytes bytes = noise(kMiB, 8);
  const Bytes kept = noise(64, 1), dropped = noise(64, 2);
  SaveRequest request = request_of("t", {{"data", bytes}});
  request.attachments[0].bytes = bytes;
  request.tensors.push_back({"kept", Dtype::kU8, {64}, whole_box({64}), kept.data(), {}});
  request.tensors.push_back({"moment", Dtype::kU8, {64}, whole_box({64}), dropped.data(), {}});
  ASSERT_TRUE(succeeds(save(*store_, request)));
  const auto bytes_of = [](const TensorInfo&) -> Result<uint64_t> { return 64; };
  ASSERT_TRUE(succeeds(thin_tags(*store_, {*store_->find_tag("t")}, {"moment"}, bytes_of, false,
                                 std::chrono::milliseconds(0))));
  store_ = *Store::open(posix_fs(), path());
  expect_holds("t", {{"data", bytes}});
}

}  // namespace
}  // namespace cairn
