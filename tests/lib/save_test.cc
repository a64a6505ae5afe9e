// What a save refuses before it writes, and what it does when a found copy goes away.
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
  const auto saved = save(*store_, request);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_EQ(saved->facts.new_bytes, 0u);
  EXPECT_EQ(packs().size(), 1u);
  EXPECT_EQ(load_whole("b/1", "w", {1024}), big);
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
  SaveRequest request = request_for(noise(128, 4));
  request.look_up = [](const std::vector<Digest>&, std::vector<std::optional<Copy>>&) -> Status {
    return fail(Code::kFailed, "the index is gone");
  };
  EXPECT_TRUE(succeeds(save(*store_, request)));
}

}  // namespace
}  // namespace cairn
