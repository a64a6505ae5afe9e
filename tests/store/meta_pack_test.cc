#include "store/meta_pack.h"

#include <gtest/gtest.h>

#include "store/pack_table.h"
#include "tests/support/fault_fs.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

Bytes object(size_t bytes, uint8_t seed) {
  Bytes data(bytes);
  for (size_t i = 0; i < bytes; ++i) data[i] = static_cast<uint8_t>(i * seed + seed);
  return data;
}

TEST(MetaPack, ObjectsAreReadBackByReference) {
  const TempFolder folder;
  const SessionId session = *SessionId::fresh();
  MetaWriter writer(posix_fs(), folder.path(), session);
  std::vector<std::pair<Reference, Bytes>> added;
  for (const size_t bytes : {0, 1, 7, 8, 9, 5000}) {
    const Bytes data = object(bytes, 3);
    const uint64_t foretold = writer.sealed_bytes_after(bytes);
    added.push_back({*writer.add(ObjectKind::kPage, data), data});
    EXPECT_EQ(writer.sealed_bytes_after(0) >= foretold, true);
  }
  const uint64_t foretold = writer.sealed_bytes_after(100);
  added.push_back({*writer.add(ObjectKind::kManifest, object(100, 5)), object(100, 5)});
  ASSERT_TRUE(writer.finish());
  EXPECT_EQ(posix_fs().info(folder / relative_path(FileKind::kMeta, {session, 0}))->bytes,
            foretold);
  FilePool files(posix_fs(), folder.path(), OpenMode::kRead);
  for (const auto& [reference, data] : added) EXPECT_EQ(*read_object(files, reference), data);
  const auto rows = list_objects(posix_fs(), folder.path(), {session, 0});
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->size(), added.size());
  EXPECT_EQ(rows->back().kind, ObjectKind::kManifest);
}

TEST(MetaPack, LongMetadataTakesSeveralFiles) {
  const TempFolder folder;
  const SessionId session = *SessionId::fresh();
  MetaWriter writer(posix_fs(), folder.path(), session);
  std::vector<Reference> references;
  for (uint8_t i = 1; i <= 5; ++i) {
    references.push_back(*writer.add(ObjectKind::kPage, object(20 * kMiB, i)));
  }
  ASSERT_TRUE(writer.finish());
  EXPECT_GT(references.back().file.number, 0u);
  EXPECT_EQ(writer.metas_begun(), references.back().file.number + 2);
  FilePool files(posix_fs(), folder.path(), OpenMode::kRead);
  EXPECT_EQ(*read_object(files, references[3]), object(20 * kMiB, 4));
}

TEST(MetaPack, WhatIsNotThereOrNotItselfIsAnError) {
  const TempFolder folder;
  const SessionId session = *SessionId::fresh();
  MetaWriter writer(posix_fs(), folder.path(), session);
  Reference reference = *writer.add(ObjectKind::kPage, object(100, 1));
  ASSERT_TRUE(writer.finish());
  FilePool files(posix_fs(), folder.path(), OpenMode::kRead);
  Reference other = reference;
  other.file.number = 3;
  EXPECT_EQ(read_object(files, other).error().code, Code::kNotFound);
  other = reference;
  ++other.offset;
  EXPECT_EQ(read_object(files, other).error().code, Code::kCorrupt);
  other = reference;
  other.bytes = uint64_t{1} << 60;
  EXPECT_EQ(read_object(files, other).error().code, Code::kCorrupt) << "no memory is asked for";
  FaultFs faults(posix_fs());
  size_t reads = 0;
  faults.counts = [&](FsCall call, const std::string&) {
    reads += call == FsCall::kRead ? 1 : 0;
    return false;
  };
  FilePool counted(faults, folder.path(), OpenMode::kRead);
  other.bytes = kGiB;
  EXPECT_EQ(read_object(counted, other).error().code, Code::kCorrupt);
  EXPECT_EQ(reads, 0u) << "the file is shorter";
  EXPECT_TRUE(read_object(counted, reference));
  EXPECT_EQ(reads, 1u);
}

TEST(MetaPack, NothingMeansNoFile) {
  const TempFolder folder;
  MetaWriter writer(posix_fs(), folder.path(), *SessionId::fresh());
  ASSERT_TRUE(writer.finish());
  EXPECT_TRUE(posix_fs().list(folder.path())->empty());
}

TEST(MetaPack, AFaultIsNeverSwallowed) {
  for (size_t fail_at = 0;; ++fail_at) {
    const TempFolder folder;
    FaultFs faults(posix_fs());
    faults.fail_at = fail_at;
    MetaWriter writer(faults, folder.path(), *SessionId::fresh());
    ASSERT_TRUE(writer.add(ObjectKind::kPage, object(100, 1)));
    const Status finished = writer.finish();
    EXPECT_EQ(finished.has_value(), faults.calls <= fail_at) << fail_at;
    if (finished) break;
  }
}

}  // namespace
}  // namespace cairn
