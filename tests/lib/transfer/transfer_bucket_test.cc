// Pushes that meet in a bucket: the folder of a store, as a bucket has it.
#include "store/arrivals.h"
#include "store/remote/directory_backend.h"
#include "store/remote/remote_fs.h"
#include "store/session.h"
#include "tests/lib/transfer/transfer_fixture.h"
#include "tests/support/hooked_backend.h"

namespace cairn {
namespace {

class TransferBucketTest : public TransferTest {
 protected:
  static constexpr char kRoot[] = "s3://bucket/prefix";

  /// A client of the bucket.
  std::unique_ptr<remote::RemoteFs> connect(const remote::HookedBackend::Hook& hook) const {
    auto folder = remote::open_directory_backend(posix_fs(), there_path(), nullptr);
    return std::make_unique<remote::RemoteFs>(
        std::make_unique<remote::HookedBackend>(std::move(folder), hook), kRoot, 8);
  }

  Result<TransferResult> push(const remote::HookedBackend::Hook& hook,
                              const std::string& tag = "run/00") {
    const auto fs = connect(hook);
    TransferRequest request;
    request.tag = tag;
    request.if_exists = IfExists::kSame;
    return transfer_tag(*store_, **Store::open(*fs, kRoot), request);
  }

  /// From now on all sessions pass for those of a process of this host that is gone.
  void make_sessions_look_dead() const {
    Lease lease;
    lease.owner = this_process();
    ++lease.owner.start;
    const auto entries = *posix_fs().list(there_path() + "/sessions");
    for (const FolderEntry& entry : entries) {
      if (!SessionId::parse(entry.name)) continue;
      const std::string path = there_path() + "/sessions/" + entry.name;
      ASSERT_TRUE(succeeds(posix_fs().remove(path)));
      ASSERT_TRUE(succeeds(write_new_file(posix_fs(), path, as_bytes(encode_lease(lease)))));
    }
  }

  std::vector<std::string> sessions_there() const {
    std::vector<std::string> names;
    const auto entries = *posix_fs().list(there_path() + "/sessions");
    for (const FolderEntry& entry : entries) names.push_back(entry.name);
    return names;
  }

  static remote::WriteResult just_put(const std::string&, const remote::HookedBackend::Put& put) {
    return put();
  }
};

TEST_F(TransferBucketTest, APushTakenForDeadLeavesPacksThatAnotherRefersTo) {
  save_step();
  std::optional<Result<TransferResult>> second;
  const auto meet = [&](const std::string& key, const remote::HookedBackend::Put& put) {
    if (!second && key.starts_with("meta/")) {
      make_sessions_look_dead();
      second = push(just_put);
    }
    return put();
  };
  const auto first = push(meet);
  ASSERT_TRUE(succeeds(first));
  EXPECT_TRUE(first->already_there);
  ASSERT_TRUE(second && succeeds(*second));
  EXPECT_EQ((*second)->received_bytes, 0u) << "all of it lies in packs of the first";
  EXPECT_GT((*second)->resumed_bytes, 0u);
  expect_sound_there({"run/00"});
}

// Containers may have one name and the same process numbers: nobody there is gone for certain.
TEST_F(TransferBucketTest, APushOfAnotherTagTakesNobodyForDeadWhoWasHeardOf) {
  save_step();
  save_step();
  std::optional<Result<TransferResult>> second;
  const auto meet = [&](const std::string& key, const remote::HookedBackend::Put& put) {
    if (!second && key.starts_with("meta/")) {
      make_sessions_look_dead();
      const auto before = sessions_there();
      second = push(just_put, "run/01");
      EXPECT_EQ(sessions_there(), before) << "its lease and its journal";
    }
    return put();
  };
  (void)push(meet).has_value();
  ASSERT_TRUE(second && succeeds(*second));
  EXPECT_EQ((*second)->resumed_bytes, 0u);
}

TEST_F(TransferBucketTest, OfOneThatWasSilentForLongItGoesOn) {
  save_step();
  save_step();
  const auto lose = [&](const std::string& key, const remote::HookedBackend::Put& put) {
    if (!key.starts_with("meta/")) return put();
    make_sessions_look_dead();
    for (const std::string& name : sessions_there()) {
      const auto past = std::filesystem::file_time_type::clock::now() - 2 * kSilentArrivals;
      std::filesystem::last_write_time(there_path() + "/sessions/" + name, past);
    }
    return remote::WriteResult(tl::unexpected<remote::WriteError>(
        {{Code::kUnreachable, "the network is gone", ""}, false}));
  };
  ASSERT_FALSE(push(lose));
  const auto second = push(just_put, "run/01");
  ASSERT_TRUE(succeeds(second));
  EXPECT_GT(second->resumed_bytes, 0u);
  expect_sound_there({"run/01"});
}

}  // namespace
}  // namespace cairn
