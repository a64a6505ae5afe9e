// Two stores, and tags that go from the one to the other.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "lib/transfer/transfer.h"
#include "tests/lib/series_fixture.h"
#include "tests/support/fault_fs.h"

namespace cairn {

/// The store of the fixture is where tags come from; `there_` is where they go.
class TransferTest : public SeriesFixture {
 protected:
  void SetUp() override {
    SeriesFixture::SetUp();
    ASSERT_TRUE(Store::init(posix_fs(), there_path(), store_->config()));
    there_ = *Store::open(posix_fs(), there_path());
    trainer_.add("matrix", {70, 61});
    trainer_.add("half", {40, 33}, Dtype::kF16);
    trainer_.add("vector", {1500});
  }

  std::string there_path() const { return folder_ / "there"; }

  std::string save_step(const Change& change = {}, const Cut& cut = {1, 0}) {
    trainer_.step();
    const std::string tag = fmt::format("run/{:02}", states_.size());
    last_saved_ = save_trainer(tag, trainer_, change, cut);
    return tag;
  }

  Result<TransferResult> move(const std::string& tag) {
    TransferRequest request;
    request.tag = tag;
    return transfer_tag(*store_, *there_, request);
  }

  /// The tags that were moved, and no others, are there and whole.
  void expect_sound_there(const std::vector<std::string>& tags) {
    std::swap(store_, there_);
    const auto all = states_;
    std::erase_if(states_, [&](const auto& item) {
      return std::find(tags.begin(), tags.end(), item.first) == tags.end();
    });
    store_ = *Store::open(posix_fs(), there_path());
    EXPECT_EQ(store_->read_tags()->tags.size(), tags.size());
    for (const auto& [tag, state] : states_) expect_exact(tag);
    for (const Damage& damage : check_all().damage) {
      ADD_FAILURE() << damage.kind << " " << damage.tag << " " << damage.message;
    }
    states_ = all;
    std::swap(store_, there_);
  }

  static size_t files_in(const std::string& folder) {
    size_t files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      files += entry.is_regular_file();
    }
    return files;
  }

  /// Changes a byte in the middle of each pack of a store.
  static void spoil_packs(const std::string& store) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(store + "/packs")) {
      if (!entry.is_regular_file()) continue;
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(200);
      const char byte = static_cast<char>(file.get() ^ 1);
      file.seekp(200);
      file.put(byte);
    }
  }

  /// The source behind a network that goes after the first read of a pack.
  std::unique_ptr<Store> open_behind(FaultFs& network) const {
    auto from = *Store::open(network, path());
    network.error.code = Code::kUnreachable;
    network.for_ever = true;
    network.counts = [](FsCall call, const std::string& file) {
      return call == FsCall::kRead && file.find("/packs/") != std::string::npos;
    };
    network.calls = 0;
    network.fail_at = 1;
    return from;
  }

  Trainer trainer_{1};
  SaveResult last_saved_;
  std::unique_ptr<Store> there_;
};

}  // namespace cairn
