#include "store/remote/remote_fs.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "store/remote/directory_backend.h"
#include "tests/support/outcome.h"
#include "tests/support/temp_folder.h"

namespace cairn::remote {
namespace {

constexpr char kRoot[] = "s3://bucket/prefix";

Bytes noise(size_t bytes) {
  std::mt19937 random(9);
  Bytes content(bytes);
  for (uint8_t& byte : content) byte = static_cast<uint8_t>(random());
  return content;
}

class Remote : public testing::Test {
 protected:
  std::string at(const std::string& name) const { return join_path(kRoot, name); }
  void write(const std::string& name, ByteSpan bytes) {
    ASSERT_TRUE(succeeds(write_new_file(fs_, at(name), bytes)));
  }

  TempFolder folder_;
  RemoteFs fs_{open_directory_backend(posix_fs(), folder_.path(), nullptr), kRoot, 32};
};

TEST_F(Remote, FilesAreWrittenAndRead) {
  // Of no part, a part and some, metadata and packs.
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{1'000'000}, size_t{20'000'000}}) {
    for (const char* folder : {"packs/", "meta/"}) {
      const std::string name = folder + std::to_string(bytes);
      const Bytes content = noise(bytes);
      write(name, content);
      const auto whole = fs_.read_whole(at(name), kGiB);
      ASSERT_TRUE(succeeds(whole));
      EXPECT_TRUE(*whole == content);
      const auto file = fs_.open(at(name), OpenMode::kRead);
      ASSERT_TRUE(succeeds(file));
      EXPECT_EQ((*file)->size().value(), bytes);
      Bytes out(1000);
      const size_t count = (*file)->read_at(bytes / 2, out).value();
      ASSERT_EQ(count, std::min<size_t>(1000, bytes - bytes / 2));
      EXPECT_TRUE(std::equal(out.begin(), out.begin() + static_cast<ptrdiff_t>(count),
                             content.begin() + static_cast<ptrdiff_t>(bytes / 2)));
      EXPECT_EQ(fs_.info(at(name))->bytes, bytes);
    }
  }
}

TEST_F(Remote, AFileIsThereOnceItIsSynced) {
  const Bytes content = noise(10'000'000);
  {
    const auto file = fs_.open(at("packs/x"), OpenMode::kCreate);
    ASSERT_TRUE(succeeds(file));
    ASSERT_TRUE(succeeds((*file)->write_at(0, content)));
    EXPECT_TRUE(fails_with(Code::kNotFound, fs_.info(at("packs/x"))));
  }
  EXPECT_TRUE(fails_with(Code::kNotFound, fs_.info(at("packs/x"))));
  EXPECT_TRUE(open_directory_backend(posix_fs(), folder_.path(), nullptr)
                  ->list_uploads("", "")
                  ->items.empty());
}

TEST_F(Remote, NothingIsOverwritten) {
  write("root2", as_bytes("one"));
  const auto file = fs_.open(at("root2"), OpenMode::kCreate);
  ASSERT_TRUE(succeeds(file));
  ASSERT_TRUE(succeeds((*file)->write_at(0, as_bytes("other"))));
  EXPECT_TRUE(fails_with(Code::kExists, (*file)->sync()));
  EXPECT_EQ(as_text(*fs_.read_whole(at("root2"), 100)), "one");
}

TEST_F(Remote, FilesAreReplacedByVersion) {
  ConditionalFiles* const files = fs_.conditional();
  ASSERT_NE(files, nullptr);
  bool may_be_done = true;
  ASSERT_TRUE(succeeds(files->replace(at("root"), "", as_bytes("one"), may_be_done)));
  const auto one = files->read(at("root"), 100);
  ASSERT_TRUE(succeeds(one));
  EXPECT_EQ(as_text(one->bytes), "one");
  ASSERT_TRUE(succeeds(files->replace(at("root"), one->version, as_bytes("two"), may_be_done)));
  EXPECT_TRUE(fails_with(Code::kExists,
                         files->replace(at("root"), one->version, as_bytes("three"), may_be_done)));
  EXPECT_FALSE(may_be_done);
  EXPECT_TRUE(
      fails_with(Code::kExists, files->replace(at("root"), "", as_bytes("four"), may_be_done)));
  EXPECT_EQ(as_text(*fs_.read_whole(at("root"), 100)), "two");
}

TEST_F(Remote, ListsFoldersAndFiles) {
  for (const char* name : {"a/x", "a/b/y", "b", "ab"}) write(name, as_bytes(name));
  const auto top = fs_.list(kRoot);
  ASSERT_TRUE(succeeds(top));
  std::string names;
  for (const FolderEntry& entry : *top) names += entry.name + (entry.is_folder ? "/ " : " ");
  EXPECT_EQ(names, "a/ ab b ");
  EXPECT_EQ(fs_.list(at("a"))->size(), 2U);
  EXPECT_TRUE(fs_.list(at("nothing"))->empty());
}

TEST_F(Remote, RefusesWhatPlacesCannotDo) {
  write("a", as_bytes("a"));
  EXPECT_TRUE(fails_with(Code::kUsage, fs_.rename(at("a"), at("b"))));
  EXPECT_TRUE(fails_with(Code::kUsage, fs_.rename_new(at("a"), at("b"))));
  EXPECT_TRUE(fails_with(Code::kUsage, fs_.open(at("a"), OpenMode::kUpdate)));
  EXPECT_TRUE(fails_with(Code::kUsage, fs_.lock(at("lock"), Wait(std::chrono::seconds(0)))));
  EXPECT_TRUE(succeeds(fs_.remove(at("a"))));
  EXPECT_TRUE(fails_with(Code::kNotFound, fs_.read_whole(at("a"), 10)));
}

TEST_F(Remote, FilesAreTouchedAsLongAsTheyAreThere) {
  write("a", as_bytes("a"));
  const std::string below = join_path(folder_.path(), "a");
  std::filesystem::last_write_time(below,
                                   std::filesystem::last_write_time(below) - std::chrono::hours(1));
  const int64_t before = fs_.info(at("a"))->modified_ns;
  EXPECT_TRUE(succeeds(fs_.touch(at("a"))));
  EXPECT_GT(fs_.info(at("a"))->modified_ns, before);
  EXPECT_EQ(as_text(*fs_.read_whole(at("a"), 10)), "a");
  ASSERT_TRUE(succeeds(fs_.remove(at("a"))));
  EXPECT_TRUE(fails_with(Code::kNotFound, fs_.touch(at("a"))));
  EXPECT_TRUE(fails_with(Code::kNotFound, fs_.info(at("a"))));
}

TEST_F(Remote, AMarkIsOnTheFileThatWasMarked) {
  write("a", as_bytes("a"));
  EXPECT_FALSE(*fs_.is_marked_here(at("a")));
  {
    const auto mark = fs_.mark_alive(at("a"));
    ASSERT_TRUE(succeeds(mark));
    EXPECT_TRUE(*fs_.is_marked_alive(at("a")));
    EXPECT_TRUE(*fs_.is_marked_here(at("a")));
    ASSERT_TRUE(succeeds(fs_.remove(at("a"))));
    EXPECT_FALSE(*fs_.is_marked_here(at("a")));
    write("a", as_bytes("other"));
    EXPECT_FALSE(*fs_.is_marked_here(at("a")));
  }
  EXPECT_FALSE(*fs_.is_marked_alive(at("a")));
  EXPECT_TRUE(fails_with(Code::kNotFound, fs_.mark_alive(at("b"))));
}

TEST_F(Remote, ErrorsNameTheFile) {
  const auto file = fs_.open(at("packs/none"), OpenMode::kRead);
  ASSERT_TRUE(succeeds(file));
  Bytes out(10);
  const auto read = (*file)->read_at(0, out);
  ASSERT_TRUE(fails_with(Code::kNotFound, read));
  EXPECT_NE(read.error().message.find(at("packs/none")), std::string::npos) << read.error().message;
  EXPECT_TRUE(fails_with(Code::kBug, fs_.info("elsewhere/x")));
  EXPECT_TRUE(fails_with(Code::kUsage, fs_.info(at("../x"))));
}

}  // namespace
}  // namespace cairn::remote
