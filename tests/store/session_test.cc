#include "store/session.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "store/sealed_json.h"
#include "tests/support/fault_fs.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

size_t leases(const TempFolder& folder) {
  const auto entries = posix_fs().list(folder / "sessions");
  return entries ? entries->size() : 0;
}

TEST(Session, ItsLeaseSaysWhatItCountsOn) {
  const TempFolder folder;
  LeasedBase base;
  base.tag = "run/1";
  base.packs = {{*SessionId::fresh(), 3}};
  base.layout = Reference{};
  auto session = Session::begin(posix_fs(), folder.path(), "run/2", base);
  ASSERT_TRUE(session) << session.error().message;
  const std::string lease = folder / ("sessions/" + (*session)->id().hex());
  const auto text = read_file(posix_fs(), lease, kMiB);
  ASSERT_TRUE(text);
  const auto document = unseal_json(*text, lease);
  ASSERT_TRUE(document) << document.error().message;
  EXPECT_EQ((*document)["tag"], "run/2");
  EXPECT_EQ((*document)["base"]["tag"], "run/1");
  EXPECT_EQ((*document)["packs"][0], base.packs[0].name());
  EXPECT_TRUE((*document)["base"]["layout"].is_object());
  EXPECT_GT((*document)["pid"].get<int64_t>(), 0);
  EXPECT_TRUE(*posix_fs().is_marked_alive(lease));
  ASSERT_TRUE((*session)->end());
  EXPECT_EQ(leases(folder), 0u);
}

TEST(Session, TheLeaseGoesWithTheSession) {
  const TempFolder folder;
  { auto session = Session::begin(posix_fs(), folder.path(), "t", std::nullopt); }
  EXPECT_EQ(leases(folder), 0u);
}

TEST(Session, AFaultLeavesNoLease) {
  for (size_t fail_at = 0;; ++fail_at) {
    const TempFolder folder;
    FaultFs faults(posix_fs());
    faults.fail_at = fail_at;
    {
      const auto session = Session::begin(faults, folder.path(), "t", std::nullopt);
      EXPECT_EQ(session.has_value(), faults.calls <= fail_at) << fail_at;
      if (session) break;
    }
    EXPECT_EQ(leases(folder), 0u) << "after a fault at call " << fail_at;
  }
}

TEST(Session, FilesOfAFailedSaveAreRemovedAndNoOthers) {
  const TempFolder folder;
  auto session = *Session::begin(posix_fs(), folder.path(), "t", std::nullopt);
  const SessionId other = *SessionId::fresh();
  std::vector<std::string> mine, others;
  for (uint32_t number = 0; number < 3; ++number) {
    for (const FileKind kind : {FileKind::kPack, FileKind::kMeta}) {
      mine.push_back(folder / relative_path(kind, {session->id(), number}));
      others.push_back(folder / relative_path(kind, {other, number}));
    }
  }
  for (const auto* paths : {&mine, &others}) {
    for (const std::string& path : *paths) {
      ASSERT_TRUE(posix_fs().make_folders(parent_folder(path)));
      ASSERT_TRUE(write_new_file(posix_fs(), path, {}));
    }
  }
  session->remove_files(3, 3);
  for (const std::string& path : mine) EXPECT_FALSE(file_exists(posix_fs(), path)) << path;
  for (const std::string& path : others) EXPECT_TRUE(file_exists(posix_fs(), path)) << path;
}

}  // namespace
}  // namespace cairn
