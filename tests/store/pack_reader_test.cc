// What damaged metadata asks of a reader. What packs really hold is tests/lib/load_test.cc's.
#include "store/pack_reader.h"

#include <gtest/gtest.h>

#include "base/encodings/item_form.h"
#include "store/seal.h"
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

TEST_F(PackReaderTest, KnowsWhatIsOfPlanes) {
  Copy copy;
  copy.encoding = Encoding::kPlanes;
  const auto item_bytes = [&](const Bytes& parameters) {
    copy.parameters = seal_parameters(parameters, {});
    return plane_item_bytes(copy);
  };
  EXPECT_EQ(item_bytes({encode_item_form({2, true})}), 2u);
  EXPECT_EQ(item_bytes({encode_item_form({8, false})}), 8u);
  EXPECT_EQ(item_bytes({encode_item_form({1, false})}), 0u) << "they are the items";
  EXPECT_EQ(item_bytes({}), 0u);
  EXPECT_EQ(item_bytes({0x31}), 0u) << "a form of a newer version";
  copy.bases.resize(1);
  EXPECT_EQ(item_bytes({encode_item_form({2, true})}), 0u);
  copy.bases.clear();
  copy.encoding = Encoding::kRaw;
  EXPECT_EQ(item_bytes({encode_item_form({2, true})}), 0u);
}

TEST_F(PackReaderTest, PlanesThatDoNotDecodeAreToldByPackAndOffset) {
  const PackReader reader(*store_);
  Copy copy;
  copy.encoding = Encoding::kPlanes;
  copy.offset = 77;
  const Bytes stored = {0, 0};
  copy.parameters = seal_parameters(Bytes{encode_item_form({2, true})}, stored);
  Bytes out(200);
  const Status done = reader.decode_to_planes(copy, stored, out);
  ASSERT_TRUE(fails_with(Code::kCorrupt, done));
  EXPECT_EQ(done.error().message, reader.decode_unchecked(copy, stored, out).error().message);
  EXPECT_NE(done.error().message.find("offset 77: 1 bytes follow"), std::string::npos);
  EXPECT_TRUE(succeeds(reader.decode_to_planes(copy, ByteSpan(stored).first(1), out)));
}

}  // namespace
}  // namespace cairn
