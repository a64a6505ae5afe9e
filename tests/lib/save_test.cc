// What a save refuses before it writes, and what it does when a found copy goes away or its base is
// damaged.
#include <filesystem>
#include <fstream>

#include "tests/lib/store_fixture.h"
#include "tests/support/outcome.h"

namespace cairn {
namespace {

class Save : public StoreFixture {
 protected:
  /// A request for one tensor of 8 x 8 items of two bytes, held whole.
  SaveRequest request_for(const Bytes& data) {
    SaveRequest request;
    request.tag = "t";
    request.tensors = cut("w", {8, 8}, data, 0, 1, false);
    return request;
  }
  void refuses(const SaveRequest& request, std::string_view words) {
    const auto saved = save(*store_, request);
    ASSERT_TRUE(fails_with(Code::kUsage, saved));
    EXPECT_NE(saved.error().message.find(words), std::string::npos) << saved.error().message;
    EXPECT_TRUE(store_->read_tags()->tags.empty());
    EXPECT_TRUE(posix_fs().list(path() + "/packs")->empty()) << "nothing is written";
    EXPECT_TRUE(posix_fs().list(path() + "/sessions")->empty());
  }
  std::vector<std::string> packs() const {
    std::vector<std::string> paths;
    const auto folders = posix_fs().list(path() + "/packs");
    for (const FolderEntry& folder : *folders) {
      const std::string inside = path() + "/packs/" + folder.name;
      const auto files = posix_fs().list(inside);
      for (const FolderEntry& file : *files) paths.push_back(inside + "/" + file.name);
    }
    return paths;
  }

  const Bytes data_ = noise(128, 1);
};

TEST_F(Save, BoxesOfATensorMustAgree) {
  SaveRequest request = request_for(data_);
  request.tensors.push_back(request.tensors[0]);
  request.tensors[1].dtype = Dtype::kF16;
  refuses(request, "one box says BF16 [8, 8], another F16 [8, 8]");
  request.tensors[1].dtype = Dtype::kBF16;
  request.tensors[1].shape = {8, 9};
  refuses(request, "another BF16 [8, 9]");
}

TEST_F(Save, BoxesMustLieInsideAndHaveData) {
  SaveRequest request = request_for(data_);
  request.tensors[0].box.offsets[1] = 1;
  refuses(request, "'w'");
  request = request_for(data_);
  request.tensors[0].box.offsets[1] = UINT64_MAX;
  refuses(request, "'w'");
  request = request_for(data_);
  request.tensors[0].data = nullptr;
  refuses(request, "box [0:8,0:8] has no data");
  request = request_for(data_);
  request.tensors[0].strides_bytes = {2};
  refuses(request, "1 strides for 2 axes");
}

TEST_F(Save, NamesAreBounded) {
  SaveRequest request = request_for(data_);
  request.tensors[0].name = "";
  refuses(request, "tensor name of 0 bytes");
  request.tensors[0].name = std::string(65536, 'x');
  refuses(request, "tensor name of 65536 bytes");
  request = request_for(data_);
  request.attachments = {{"a", data_}, {"b", data_}, {"a", data_}};
  refuses(request, "attachment 'a' is given twice");
  for (const char* tag : {"", "/", "a//b", "../x", "a b", "a\nb", "-x"}) {
    request = request_for(data_);
    request.tag = tag;
    refuses(request, "tag");
  }
}

TEST_F(Save, ShapesAreBounded) {
  SaveRequest request = request_for(data_);
  request.tensors[0].shape = request.tensors[0].box.lengths = {uint64_t{1} << 40, 1 << 23};
  refuses(request, "'w'");
  request.tensors[0].shape = request.tensors[0].box.lengths = Shape(17, 1);
  request.tensors[0].box.offsets = Shape(17, 0);
  refuses(request, "'w'");
  request.tensors[0] = {"w", Dtype::kF4, {3}, whole_box({3}), data_.data(), {}, 0};
  refuses(request, "'w'");
}

TEST_F(Save, AStoppedSaveLeavesNothing) {
  const std::atomic<bool> stop = true;
  SaveRequest request = request_for(data_);
  request.call.stop = &stop;
  EXPECT_TRUE(fails_with(Code::kCancelled, save(*store_, request)));
  EXPECT_TRUE(store_->read_tags()->tags.empty());
  EXPECT_TRUE(packs().empty());
  EXPECT_TRUE(posix_fs().list(path() + "/sessions")->empty());
}

TEST_F(Save, ALaterFormatIsNotWritten) {
  SaveRequest request = request_for(data_);
  request.base = "nowhere";
  EXPECT_TRUE(fails_with(Code::kNotFound, save(*store_, request)))
      << "a base by name must be there";
}

/// What a look-up through the index would find: the copy of the tag's only chunk.
Copy only_copy(const Store& store, const std::string& tag) {
  auto checkpoint = *open_tag(store, tag);
  return (*checkpoint->page(0))->locator.copies.at(0);
}

TEST_F(Save, FoundCopiesAreReused) {
  const Bytes big = noise(2048, 2);
  SaveRequest request;
  request.tag = "a/1";
  request.tensors = cut("w", {1024}, big, 0, 1, false);
  ASSERT_TRUE(succeeds(save(*store_, request)));
  const Copy found = only_copy(*store_, "a/1");
  request.tag = "b/1";
  request.base = "none";
  request.look_up = [&](const std::vector<Digest>&, std::vector<std::optional<Copy>>& copies) {
    for (auto& copy : copies) copy = found;
    return Status{};
  };
  ProgressCounters progress;
  request.call.progress = &progress;
  const auto saved = save(*store_, request);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_EQ(saved->facts.new_bytes, 0u);
  EXPECT_EQ(progress.new_bytes, 0u);
  EXPECT_EQ(progress.done_bytes, 2048u);
  EXPECT_EQ(packs().size(), 1u);
  EXPECT_EQ(load_whole("b/1", "w", {1024}), big);
}

TEST_F(Save, SourcesThatChangedAreNotPublished) {
  SaveRequest request = request_for(data_);
  request.check_sources = [] { return fail(Code::kFailed, "the file changed"); };
  EXPECT_TRUE(fails_with(Code::kFailed, save(*store_, request)));
  EXPECT_TRUE(store_->read_tags()->tags.empty());
  EXPECT_TRUE(packs().empty());
  EXPECT_TRUE(posix_fs().list(path() + "/sessions")->empty());
}

TEST_F(Save, ATensorThatChangesMakesItFail) {
  for (const bool is_still : {false, true}) {
    Bytes big = noise(4096, 2);
    SaveRequest request;
    request.tag = "t";
    request.base = "none";
    request.tensors = cut("w", {2048}, big, 0, 1, false);
    request.are_still = is_still;
    // After digests are known, and before anything is written.
    request.look_up = [&](const std::vector<Digest>&, std::vector<std::optional<Copy>>&) {
      big[3000] ^= 1;
      return Status{};
    };
    const auto saved = save(*store_, request);
    if (is_still) {
      EXPECT_TRUE(succeeds(saved)) << "who promises too much is not looked after";
      continue;
    }
    ASSERT_TRUE(fails_with(Code::kUsage, saved));
    EXPECT_NE(saved.error().message.find("'w' changed while"), std::string::npos);
    EXPECT_TRUE(store_->read_tags()->tags.empty());
    EXPECT_TRUE(packs().empty());
  }
}

TEST_F(Save, TheDefaultBaseIsBesideTheTag) {
  for (const char* tag : {"run/1", "run/evals/1", "other", "run/2"}) {
    SaveRequest request = request_for(data_);
    request.tag = tag;
    const auto saved = save(*store_, request);
    ASSERT_TRUE(succeeds(saved));
    EXPECT_EQ(saved->base, tag == std::string("run/2") ? "run/1" : "") << tag;
  }
}

/// An index that lost its mind must cost bytes, not the tag.
TEST_F(Save, WhatThePackDoesNotConfirmIsNotReused) {
  const Bytes big = noise(2048, 6);
  SaveRequest request;
  request.tag = "a/1";
  request.tensors = cut("w", {1024}, big, 0, 1, false);
  ASSERT_TRUE(succeeds(save(*store_, request)));
  const Copy right = only_copy(*store_, "a/1");
  std::vector<Copy> wrong(5, right);
  wrong[0].offset += 8;
  wrong[1].stored_bytes -= 1;
  wrong[2].decoded_bytes += 1;
  wrong[3].encoding = Encoding::kZstd;
  wrong[4].pack.number += 1;
  for (const Copy& copy : wrong) {
    request.if_exists = IfExists::kReplace;
    request.tag = "b/1";
    request.base = "none";
    request.look_up = [&](const std::vector<Digest>&, std::vector<std::optional<Copy>>& copies) {
      for (auto& found : copies) found = copy;
      return Status{};
    };
    const auto saved = save(*store_, request);
    ASSERT_TRUE(succeeds(saved));
    EXPECT_EQ(saved->facts.new_bytes, big.size());
    EXPECT_EQ(load_whole("b/1", "w", {1024}), big);
  }
}

TEST_F(Save, ACopyThatGoesAwayIsWrittenAfterAll) {
  const Bytes big = noise(2048, 3);
  SaveRequest request;
  request.tag = "a/1";
  request.tensors = cut("w", {1024}, big, 0, 1, false);
  ASSERT_TRUE(succeeds(save(*store_, request)));
  const Copy found = only_copy(*store_, "a/1");
  const auto before = packs();
  request.tag = "b/1";
  request.base = "none";
  request.look_up = [&](const std::vector<Digest>&, std::vector<std::optional<Copy>>& copies) {
    for (auto& copy : copies) copy = found;
    EXPECT_TRUE(posix_fs().remove(before.at(0)));
    return Status{};
  };
  const auto saved = save(*store_, request);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_EQ(saved->facts.new_bytes, big.size());
  EXPECT_EQ(packs().size(), 1u);
  EXPECT_EQ(load_whole("b/1", "w", {1024}), big);
  EXPECT_TRUE(posix_fs().list(path() + "/sessions")->empty());
}

TEST_F(Save, AnIndexThatFailsCostsBytesOnly) {
  SaveRequest request = request_for(data_);
  request.look_up = [](const std::vector<Digest>&, std::vector<std::optional<Copy>>&) -> Status {
    return fail(Code::kFailed, "the index is gone");
  };
  EXPECT_TRUE(succeeds(save(*store_, request)));
}

TEST_F(Save, ASmallChunkOfSeveralWritersIsInline) {
  SaveRequest request = request_for(data_);
  request.tensors = cut("w", {64}, data_, 0, 2, true);
  ASSERT_TRUE(succeeds(save(*store_, request)));
  auto checkpoint = *open_tag(*store_, "t");
  EXPECT_EQ((*checkpoint->page(0))->page.entries, (std::vector<ChunkEntry>{data_}));
  EXPECT_EQ(load_whole("t", "w", {64}), data_);
}

/// What a damaged base may cost is bytes, never the tag that is compared with it.
class DamagedBase : public Save {
 protected:
  void SetUp() override {
    Save::SetUp();
    request_.tag = "1";
    request_.tensors = cut("w", {1024}, big_, 0, 2, true);
    ASSERT_TRUE(succeeds(save(*store_, request_)));
    request_.tag = "2";
  }
  /// Changes one byte in the middle of an object of tag 1.
  void damage(const Reference& object) {
    const std::string file = store_->path() + "/" + relative_path(FileKind::kMeta, object.file);
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    const auto middle = static_cast<std::streamoff>(object.offset + object.bytes / 2);
    const int byte = stream.seekg(middle).get();
    stream.seekp(middle).put(static_cast<char>(byte ^ 0x40));
    ASSERT_TRUE(stream.flush());
  }
  LocatorTable table() const { return (*open_tag(*store_, "1"))->table(); }

  const Bytes big_ = noise(2048, 5);
  SaveRequest request_;
};

TEST_F(DamagedBase, APageIsWrittenAnew) {
  damage(table().pages.at(0).page);
  const auto saved = save(*store_, request_);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_EQ(saved->damaged_base, "1");
  EXPECT_GT(saved->unread_chunks, 0u);
  EXPECT_EQ(load_whole("2", "w", {1024}), big_);
}

TEST_F(DamagedBase, ATableThatIsGoneIsTold) {
  damage(store_->find_tag("1")->table);
  const auto saved = save(*store_, request_);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_EQ(saved->damaged_base, "1");
  EXPECT_EQ(saved->base, "");
}

TEST_F(DamagedBase, ALocatorIsWrittenAnew) {
  damage(table().pages.at(0).locator);
  ASSERT_TRUE(succeeds(save(*store_, request_)));
  EXPECT_EQ(load_whole("2", "w", {1024}), big_);
}

TEST_F(DamagedBase, ALayoutIsWrittenAnew) {
  const TagEntry entry = *store_->find_tag("1");
  ASSERT_TRUE(entry.layout);
  damage(*entry.layout);
  ASSERT_TRUE(succeeds(save(*store_, request_)));
  auto checkpoint = open_tag(*store_, "2");
  ASSERT_TRUE(succeeds(checkpoint));
  EXPECT_TRUE(succeeds((*checkpoint)->layout()));
}

TEST_F(DamagedBase, APackThatIsGoneIsNotReused) {
  ASSERT_TRUE(posix_fs().remove(packs().at(0)));
  const auto saved = save(*store_, request_);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_EQ(saved->facts.new_bytes, big_.size());
  EXPECT_EQ(load_whole("2", "w", {1024}), big_);
}

TEST_F(DamagedBase, APackThatIsCutShortIsNotReused) {
  const std::string pack = packs().at(0);
  std::filesystem::resize_file(pack, std::filesystem::file_size(pack) - 1);
  const auto saved = save(*store_, request_);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_EQ(saved->facts.new_bytes, big_.size());
  EXPECT_EQ(load_whole("2", "w", {1024}), big_);
}

/// The same bytes under another name lie in a new pack; an equal page must not bring the base's
/// locator with it, or the table would list packs that the tag does not use.
TEST_F(DamagedBase, NoLocatorOfOtherCopiesIsTaken) {
  request_.tensors = cut("v", {1024}, big_, 0, 2, true);
  ASSERT_TRUE(succeeds(save(*store_, request_)));
  auto checkpoint = *open_tag(*store_, "2");
  const auto page = *checkpoint->page(0);
  ASSERT_EQ(checkpoint->table().packs.size(), 1u);
  for (const Copy& copy : page->locator.copies) {
    EXPECT_EQ(copy.pack, checkpoint->table().packs[0].pack);
  }
  EXPECT_EQ(table().pages[0].page.digest, checkpoint->table().pages[0].page.digest);
  EXPECT_NE(table().pages[0].locator.digest, checkpoint->table().pages[0].locator.digest);
}

TEST_F(DamagedBase, ASoundBaseLendsItsPages) {
  ASSERT_TRUE(succeeds(save(*store_, request_)));
  auto checkpoint = *open_tag(*store_, "2");
  EXPECT_EQ(checkpoint->table().pages, table().pages);
  EXPECT_EQ(checkpoint->tag().layout, store_->find_tag("1")->layout);
}

}  // namespace
}  // namespace cairn
