#include "lib/tensor_stream.h"

#include "tests/lib/series_fixture.h"

namespace cairn {
namespace {

class Stream : public SeriesFixture {
 protected:
  void SetUp() override {
    SeriesFixture::SetUp();
    trainer_.add("p", {90, 70});
    trainer_.step();
    save_trainer("1", trainer_);
    trainer_.step();
    save_trainer("2", trainer_);
    checkpoint_ = *open_tag(*store_, "2");
  }
  const TensorInfo* info(const std::string& name) const {
    return &checkpoint_->schema().tensors[*checkpoint_->find_tensor(name)];
  }

  Trainer trainer_{1};
  std::unique_ptr<Checkpoint> checkpoint_;
};

TEST_F(Stream, TensorsTogetherComeWhereTheyBelong) {
  const State& state = trainer_.state();
  Bytes file(200000, 0xee), written(200000);
  std::vector<TensorStream::Placed> placed;
  uint64_t at = 1000;
  Bytes expected = file;
  for (const auto& [name, tensor] : state) {
    placed.push_back({info(name), tensor.dtype, at});
    std::copy(tensor.bytes.begin(), tensor.bytes.end(), expected.begin() + int64_t(at));
    at += tensor.bytes.size() + 10;
  }
  ProgressCounters progress;
  CallOptions call;
  call.progress = &progress;
  TensorStream stream(*checkpoint_, call, [&](uint64_t where, ByteSpan bytes) -> Status {
    for (size_t i = 0; i < bytes.size(); ++i) {
      EXPECT_EQ(written[where + i]++, 0) << "each byte once";
      file[where + i] = bytes[i];
    }
    return {};
  });
  ASSERT_TRUE(succeeds(stream.add_together(placed)));
  ASSERT_TRUE(succeeds(stream.flush()));
  EXPECT_TRUE(file == expected);
  EXPECT_EQ(progress.done_bytes, 90u * 70 * 14);
  ASSERT_TRUE(succeeds(stream.flush())) << "of nothing";
}

TEST_F(Stream, TogetherAndAloneInOneBatch) {
  const State& state = trainer_.state();
  std::map<uint64_t, Bytes> runs;
  TensorStream stream(*checkpoint_, {}, [&](uint64_t where, ByteSpan bytes) -> Status {
    runs[where] = Bytes(bytes.begin(), bytes.end());
    return {};
  });
  ASSERT_TRUE(succeeds(stream.add(*info("p.weight"), Dtype::kF32, whole_box({90, 70}), 0)));
  const std::vector<TensorStream::Placed> placed = {{info("p.first"), Dtype::kF32, 50000},
                                                    {info("p.second"), Dtype::kF32, 100000}};
  ASSERT_TRUE(succeeds(stream.add_together(placed)));
  ASSERT_TRUE(succeeds(stream.add_together({})));
  ASSERT_TRUE(succeeds(stream.flush()));
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[0].size(), 4u * 90 * 70) << "converted";
  EXPECT_TRUE(runs[50000] == state.at("p.first").bytes);
  EXPECT_TRUE(runs[100000] == state.at("p.second").bytes);
}

TEST_F(Stream, TheSinksErrorEndsIt) {
  TensorStream stream(*checkpoint_, {},
                      [](uint64_t, ByteSpan) -> Status { return fail(Code::kNoSpace, "full"); });
  ASSERT_TRUE(succeeds(stream.add_together({{info("p.first"), Dtype::kF32, 0}})));
  EXPECT_TRUE(fails_with(Code::kNoSpace, stream.flush()));
}

}  // namespace
}  // namespace cairn
