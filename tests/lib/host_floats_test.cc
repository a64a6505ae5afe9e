// Programs around set the processor's floats to what they like: subnormals flushed, another
// rounding; worker threads inherit it. What is stored and what loads must not depend on that.
#include "tests/base/replay/host_floats.h"

#include <fmt/format.h>

#include "tests/lib/series_fixture.h"

namespace cairn {
namespace {

class HostFloatsOfSeries : public SeriesFixture {
 protected:
  void SetUp() override {
    SeriesFixture::SetUp();
    Trainer trainer(3);
    trainer.add("a", {64, 96});
    trainer.add("b", {50, 41}, Dtype::kF16);
    for (int step = 0; step < 5; ++step) {
      trainer.step();
      if (step == 3) trainer.poison();
      steps_.push_back({trainer.state(), trainer.facts()});
    }
  }

  /// A fresh store, to which all steps are saved.
  void save_all(const HostFloats& host) {
    Config config;
    config.chunk_elements = 1024;
    const std::string place = folder_ / host.name;
    ASSERT_TRUE(Store::init(posix_fs(), place, config));
    store_ = *Store::open(posix_fs(), place);
    const HostScope scope(host);
    for (size_t step = 0; step < steps_.size(); ++step) {
      save_state(fmt::format("t/{}", step), steps_[step].state, steps_[step].facts);
    }
    EXPECT_TRUE(scope.is_unchanged()) << host.name;
  }

  /// Every tag loads, and a check finds nothing.
  void expect_sound_in(const HostFloats& host) const {
    const HostScope scope(host);
    for (const auto& [tag, state] : states_) expect_exact(tag);
    EXPECT_TRUE(check_all().damage.empty()) << host.name;
    EXPECT_TRUE(scope.is_unchanged()) << host.name;
  }

  /// Of every copy of all tags how it is held, and the digest of its bytes.
  std::vector<std::string> copies() const {
    std::vector<std::string> copies;
    for (const auto& [tag, state] : states_) {
      auto checkpoint = *open_tag(*store_, tag);
      for (uint32_t number = 0; number < checkpoint->table().pages.size(); ++number) {
        const auto page = *checkpoint->page(number);
        for (uint32_t slot = 0; slot < page->locator.copies.size(); ++slot) {
          const Copy& copy = page->locator.copies[slot];
          copies.push_back(fmt::format("{} {} {} {} {} {}", tag, page->digest_of(slot).hex(),
                                       static_cast<int>(copy.encoding), copy.stored_bytes,
                                       copy.bases.size(), hex_of(copy.parameters)));
        }
      }
    }
    return copies;
  }
  static std::string hex_of(ByteSpan bytes) {
    std::string text;
    for (const uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
    return text;
  }

  struct Step {
    State state;
    StepFacts facts;
  };
  std::vector<Step> steps_;
};

TEST_F(HostFloatsOfSeries, ChangeNothingThatIsStored) {
  save_all(kHostFloats[0]);
  const auto plain = copies();
  EXPECT_GT(encodings("t/2", Role::kExpAvgSq)["replay"], 0u);
  EXPECT_GT(encodings("t/2", Role::kMaster)["replay"], 0u);
  EXPECT_GT(encodings("t/2", Role::kWeight)["derived"], 0u);
  for (const HostFloats& host : std::span(kHostFloats).subspan(1)) {
    save_all(host);
    EXPECT_EQ(copies(), plain) << host.name << ": seals are digests of stored bytes";
    expect_sound_in(host);
  }
}

TEST_F(HostFloatsOfSeries, ChangeNothingThatLoads) {
  save_all(kHostFloats[0]);
  for (const HostFloats& host : kHostFloats) expect_sound_in(host);
}

}  // namespace
}  // namespace cairn
