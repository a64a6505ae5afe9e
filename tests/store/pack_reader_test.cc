// What damaged metadata asks of a reader. What packs really hold is tests/lib/load_test.cc's.
#include "store/pack_reader.h"

#include <gtest/gtest.h>

#include "tests/support/outcome.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

class PackReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    Config config;
    config.chunk_elements = 1024;
    ASSERT_TRUE(Store::init(posix_fs(), folder_ / "s", config));
    store_ = *Store::open(posix_fs(), folder_ / "s");
  }

  TempFolder folder_;
  std::unique_ptr<Store> store_;
};

TEST_F(PackReaderTest, MakesNoRoomForMoreThanAChunk) {
  PackReader reader(*store_);
  AlignedBuffer room;
  Copy copy;
  copy.encoding = Encoding::kZero;
  copy.decoded_bytes = UINT32_MAX;
  EXPECT_TRUE(fails_with(Code::kCorrupt, reader.decode_checked(copy, {}, {}, room)));
  EXPECT_EQ(room.size(), 0u);
  copy.decoded_bytes = static_cast<uint32_t>(kMiB);  // of an attachment
  EXPECT_TRUE(succeeds(reader.decode_checked(copy, blake3(Bytes(kMiB)), {}, room)));
}

TEST_F(PackReaderTest, MakesNoRoomForMoreThanAPack) {
  const FileId pack{*SessionId::fresh(), 0};
  const std::string path = join_path(store_->path(), relative_path(FileKind::kPack, pack));
  ASSERT_TRUE(posix_fs().make_folders(parent_folder(path)));
  ASSERT_TRUE(write_new_file(posix_fs(), path, as_bytes("short")));
  PackReader reader(*store_);
  AlignedBuffer room;
  EXPECT_TRUE(fails_with(Code::kCorrupt, reader.read({pack, 0, uint64_t{1} << 40}, room)));
  EXPECT_EQ(room.size(), 0u);
  EXPECT_EQ(as_text(*reader.read({pack, 1, 3}, room)), "ho");
}

}  // namespace
}  // namespace cairn
