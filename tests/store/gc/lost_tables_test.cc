// Packs whose tables are damaged or cut off: gc writes anew what tags need of them.
#include "store/gc/lost_tables.h"

#include "store/pack_table.h"
#include "tests/store/gc/rebase_fixture.h"

namespace cairn {
namespace {

class LostTable : public RebaseFixture {
 protected:
  std::vector<StoredFile> files(FileKind kind) {
    std::vector<StoredFile> files = *list_files(*store_);
    std::erase_if(files, [&](const StoredFile& file) { return file.kind != kind; });
    return files;
  }
  void cut(const StoredFile& file, uint64_t bytes) {
    const std::string path = join_path(store_->path(), file.path());
    std::filesystem::resize_file(path, file.bytes - bytes);
    store_ = *Store::open(posix_fs(), path_of_store());
  }
  std::string path_of_store() const { return store_->path(); }
  LostTables find() {
    const FileMarks nobody(*store_);
    const auto lost = find_lost_tables(*store_, *survey_store(*store_), nobody, 0);
    EXPECT_TRUE(succeeds(lost));
    return lost ? *lost : LostTables();
  }
};

TEST_F(LostTable, TagsTellWhatItSaid) {
  save_steps(3);
  EXPECT_TRUE(find().packs.empty());
  for (const StoredFile& pack : files(FileKind::kPack)) {
    const std::vector<PackedCopy> told = *list_copies(posix_fs(), store_->path(), pack.file);
    cut(pack, 8);
    const LostTables lost = find();
    ASSERT_TRUE(lost.has(pack));
    const std::vector<PackedCopy>& rows = lost.packs.at(pack.file);
    ASSERT_EQ(rows.size(), told.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].digest, told[i].digest);
      EXPECT_EQ(rows[i].offset, told[i].offset);
      EXPECT_EQ(rows[i].encoding, told[i].encoding);
      EXPECT_EQ(rows[i].bases, told[i].bases);
      EXPECT_EQ(rows[i].parameters, told[i].parameters);
    }
  }
}

TEST_F(LostTable, AllPacksAtOnceAreWrittenAnew) {
  save_steps(4);
  for (const StoredFile& pack : files(FileKind::kPack)) cut(pack, 8);
  for (const StoredFile& meta : files(FileKind::kMeta)) cut(meta, 8);
  const GcReport report = collect_with(false);
  EXPECT_TRUE(report.unmovable.empty());
  EXPECT_EQ(report.packs_rewritten, 4u);
  EXPECT_EQ(report.chunks_removed, 0);
  EXPECT_TRUE(find().packs.empty());
  EXPECT_TRUE(find().metas.empty());
  expect_sound();
  EXPECT_EQ(collect_with(false).moved_bytes, 0u) << "once is enough";
}

TEST_F(LostTable, OfATagThatLostDataNothingIsTouched) {
  save_steps(2);
  const StoredFile pack = files(FileKind::kPack).front();
  cut(pack, pack.bytes / 2);
  const GcReport report = collect_with(false);
  ASSERT_EQ(report.unmovable.size(), 1u);
  EXPECT_NE(report.unmovable.front().find("cut short"), std::string::npos);
  EXPECT_EQ(files(FileKind::kPack).size(), 2u);
}

}  // namespace
}  // namespace cairn
