// The contract of store/remote/backend.h, on one place: what CAIRN_TEST_URL names, else a folder.
// CAIRN_TEST_FOLDER: the folder that a server shows which cannot be written; its objects are put
// there.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>

#include "store/remote/backend.h"
#include "store/remote/directory_backend.h"
#include "store/remote/open_backend.h"
#include "tests/support/outcome.h"
#include "tests/support/temp_folder.h"

namespace cairn::remote {
namespace {

Bytes noise(size_t bytes, uint32_t seed = 1) {
  std::mt19937 random(seed);
  Bytes content(bytes);
  for (uint8_t& byte : content) byte = static_cast<uint8_t>(random());
  return content;
}

Bytes text(std::string_view words) {
  const ByteSpan bytes = as_bytes(words);
  return {bytes.begin(), bytes.end()};
}

class Place : public testing::Test {
 protected:
  void SetUp() override {
    const Environment environment;
    const std::string url = environment.get("CAIRN_TEST_URL");
    auto opened = open_backend(url.empty() ? folder_.path() : url, options_);
    ASSERT_TRUE(succeeds(opened));
    backend_ = std::move(*opened);
    abilities_ = backend_->abilities();
    const std::string shown = environment.get("CAIRN_TEST_FOLDER");
    if (!abilities_.writing) seed_ = open_directory_backend(posix_fs(), shown, nullptr);
    // Tests share the place.
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    base_ = std::string("t/") + test->name() + "/";
  }

  /// The object is there, whatever the place.
  std::string place(const std::string& name, ByteSpan bytes) {
    const std::string key = base_ + name;
    Backend& writer = seed_ ? *seed_ : *backend_;
    const auto written = writer.put(key, bytes, Condition::none());
    EXPECT_TRUE(written) << key << ": " << (written ? "" : written.error().message);
    return key;
  }
  Bytes whole(const std::string& key) {
    const auto read = backend_->read_whole(key, kGiB);
    EXPECT_TRUE(succeeds(read)) << key;
    return read ? read->bytes : Bytes();
  }
  bool is_server() const { return backend_->name().find("://") != std::string::npos; }

  static Code code_of(const WriteResult& result) {
    EXPECT_FALSE(result);
    return result ? Code::kBug : result.error().code;
  }

  TempFolder folder_;
  RemoteOptions options_{};
  std::unique_ptr<Backend> backend_, seed_;
  BackendAbilities abilities_;
  std::string base_;
};

TEST_F(Place, ReadsAnyRange) {
  const Bytes content = noise(300'000);
  const std::string key = place("object", content);
  std::mt19937 random(5);
  for (int i = 0; i < 40; ++i) {
    const uint64_t offset = i == 0 ? 0 : random() % 310'000;
    Bytes out(i == 0 ? content.size() + 10 : 1 + random() % 5000);
    const auto read = backend_->read(key, offset, out);
    ASSERT_TRUE(succeeds(read)) << offset;
    const size_t left = content.size() - std::min<size_t>(offset, content.size());
    ASSERT_EQ(read->bytes, std::min(out.size(), left)) << offset;
    ASSERT_TRUE(std::equal(out.begin(), out.begin() + static_cast<ptrdiff_t>(read->bytes),
                           content.begin() + static_cast<ptrdiff_t>(content.size() - left)));
    ASSERT_EQ(read->total.value_or(content.size()), content.size());
  }
  const auto nothing = backend_->read(key, 7, {});
  ASSERT_TRUE(succeeds(nothing));
  EXPECT_EQ(nothing->bytes, 0U);
}

TEST_F(Place, ReadsWholeObjectsUpToABound) {
  const Bytes content = noise(10'000);
  const std::string key = place("object", content);
  EXPECT_EQ(whole(key), content);
  EXPECT_TRUE(succeeds(backend_->read_whole(key, 10'000)));
  EXPECT_TRUE(fails_with(Code::kCorrupt, backend_->read_whole(key, 9'999)));
  const std::string empty = place("empty", {});
  EXPECT_EQ(whole(empty), Bytes());
  Bytes out(10);
  const auto read = backend_->read(empty, 0, out);
  ASSERT_TRUE(succeeds(read));
  EXPECT_EQ(read->bytes, 0U);
  EXPECT_EQ(backend_->info(empty)->bytes, 0U);
}

TEST_F(Place, TellsAboutObjects) {
  const std::string key = place("object", noise(12'345));
  const auto info = backend_->info(key);
  ASSERT_TRUE(succeeds(info));
  EXPECT_EQ(info->bytes, 12'345U);
  EXPECT_GT(info->modified_ns, int64_t{1'500'000'000} * 1'000'000'000);
  const auto one = backend_->read_whole(key, kMiB), two = backend_->read_whole(key, kMiB);
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->version, two->version);
}

TEST_F(Place, WhatIsNotThereIsNotFound) {
  Bytes out(10);
  const std::string key = base_ + "nothing";
  EXPECT_TRUE(fails_with(Code::kNotFound, backend_->info(key)));
  EXPECT_TRUE(fails_with(Code::kNotFound, backend_->read(key, 0, out)));
  EXPECT_TRUE(fails_with(Code::kNotFound, backend_->read_whole(key, 10)));
}

TEST_F(Place, TakesAnyPlainKey) {
  int number = 0;
  for (const char* name :
       {"a b", "plus+", "%41", "100%", "q?x=1&y", "hash#", "quote'\"",
        "semi;colon:", "(paren)[x]{y}", "tilde~", "=,@!$*", "\xc3\xa4\xe2\x82\xac", "back\\slash",
        "deep/er/than/others", ".hidden", "...", "-", "<tag>"}) {
    const Bytes content = text("content " + std::to_string(++number));
    const std::string key = place(name, content);
    EXPECT_EQ(whole(key), content) << key;
    EXPECT_EQ(backend_->info(key).value_or(ObjectInfo()).bytes, content.size()) << key;
  }
}

TEST_F(Place, OtherKeysAreRefused) {
  Bytes out(1);
  for (const char* key : {"", "/root", "../x", "a/../b", "a//b", "a/", "a\nb", "\xff"}) {
    EXPECT_TRUE(fails_with(Code::kUsage, backend_->info(key))) << key;
    EXPECT_TRUE(fails_with(Code::kUsage, backend_->read(key, 0, out))) << key;
    EXPECT_TRUE(fails_with(Code::kUsage, backend_->read_whole(key, 1))) << key;
    EXPECT_TRUE(fails_with(Code::kUsage, backend_->remove(key))) << key;
    EXPECT_EQ(code_of(backend_->put(key, {}, Condition::none())), Code::kUsage) << key;
    EXPECT_TRUE(fails_with(Code::kUsage, backend_->begin_upload(key, 1))) << key;
  }
}

TEST_F(Place, IsReadByManyAtOnce) {
  const Bytes content = noise(200'000);
  const std::string key = place("object", content);
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      for (uint64_t k = 0; k < 10; ++k) {
        Bytes out(1000);
        const uint64_t offset = (i * 10 + k) * 1000;
        const auto read = backend_->read(key, offset, out);
        ASSERT_TRUE(succeeds(read));
        ASSERT_TRUE(
            std::equal(out.begin(), out.end(), content.begin() + static_cast<ptrdiff_t>(offset)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(Place, StopsWhereItIsToldTo) {
  const std::string key = place("object", noise(100));
  const std::atomic<bool> stop{true}, going{false};
  Bytes out(10);
  if (is_server()) {
    const auto stopped = backend_->with_stop(&stop);
    EXPECT_EQ(stopped->name(), backend_->name());
    EXPECT_TRUE(fails_with(Code::kCancelled, stopped->read(key, 0, out)));
    EXPECT_TRUE(fails_with(Code::kCancelled, stopped->info(key)));
  }
  EXPECT_TRUE(succeeds(backend_->with_stop(&going)->read(key, 0, out)));
}

TEST_F(Place, ThatIsOnlyReadRefusesTheRest) {
  if (abilities_.writing) GTEST_SKIP() << "a place that is written";
  EXPECT_EQ(code_of(backend_->put("a", {}, Condition::none())), Code::kUsage);
  EXPECT_TRUE(fails_with(Code::kUsage, backend_->remove("a")));
  EXPECT_TRUE(fails_with(Code::kUsage, backend_->begin_upload("a", 1)));
  EXPECT_TRUE(fails_with(Code::kUsage, backend_->upload_part("a", "b", 1, {})));
  EXPECT_TRUE(fails_with(Code::kUsage, backend_->list_parts("a", "b")));
  EXPECT_EQ(code_of(backend_->complete_upload("a", "b", {}, Condition::none())), Code::kUsage);
  EXPECT_TRUE(fails_with(Code::kUsage, backend_->abort_upload("a", "b")));
  EXPECT_TRUE(fails_with(Code::kUsage, backend_->list_uploads("", "")));
  EXPECT_TRUE(fails_with(Code::kUsage, backend_->list("", "")));
}

class WrittenPlace : public Place {
 protected:
  void SetUp() override {
    Place::SetUp();
    if (!abilities_.writing) GTEST_SKIP() << "a place that is only read";
  }

  /// All pages, and how many they were.
  std::vector<ListedObject> listed(const std::string& prefix, int* pages = nullptr) {
    std::vector<ListedObject> all;
    std::string from;
    do {
      const auto page = backend_->list(prefix, from);
      EXPECT_TRUE(succeeds(page));
      if (!page) break;
      all.insert(all.end(), page->items.begin(), page->items.end());
      from = page->next;
      if (pages != nullptr) ++*pages;
    } while (!from.empty());
    return all;
  }
};

TEST_F(WrittenPlace, PutsReplace) {
  const std::string key = base_ + "object";
  ASSERT_TRUE(backend_->put(key, text("one"), Condition::none()));
  ASSERT_TRUE(backend_->put(key, text("two"), Condition::none()));
  EXPECT_EQ(whole(key), text("two"));
}

TEST_F(WrittenPlace, CreatesOnlyWhatIsAbsent) {
  const std::string key = base_ + "object";
  ASSERT_TRUE(backend_->put(key, text("one"), Condition::absent()));
  const auto again = backend_->put(key, text("two"), Condition::absent());
  EXPECT_EQ(code_of(again), Code::kExists);
  EXPECT_FALSE(again.error().ambiguous);
  EXPECT_EQ(whole(key), text("one"));
}

TEST_F(WrittenPlace, ReplacesOnlyWhatItWas) {
  const std::string key = base_ + "object";
  const auto first = backend_->put(key, text("one"), Condition::none());
  ASSERT_TRUE(first);
  ASSERT_FALSE(first->empty());
  EXPECT_EQ(backend_->read_whole(key, 100)->version, *first);
  const auto second = backend_->put(key, text("two"), Condition::replaces(*first));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_NE(*second, *first);
  EXPECT_EQ(code_of(backend_->put(key, text("three"), Condition::replaces(*first))), Code::kExists);
  EXPECT_EQ(whole(key), text("two"));
  ASSERT_TRUE(succeeds(backend_->remove(key)));
  EXPECT_EQ(code_of(backend_->put(key, text("four"), Condition::replaces(*second))), Code::kExists);
  EXPECT_TRUE(fails_with(Code::kNotFound, backend_->info(key)));
}

TEST_F(WrittenPlace, OneOfManyWins) {
  if (is_server()) {
    GTEST_SKIP() << "the server of this test does not keep its conditions apart";
  }
  for (int round = 0; round < 20; ++round) {
    const std::string key = base_ + std::to_string(round);
    std::atomic<int> won{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] {
        const auto put = backend_->put(key, text(std::to_string(i)), Condition::absent());
        if (put) ++won;
        EXPECT_EQ(put ? Code::kExists : put.error().code, Code::kExists);
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(won, 1);
  }
}

TEST_F(WrittenPlace, RemovesWhatIsThereOrNot) {
  const std::string key = place("object", text("one"));
  EXPECT_TRUE(succeeds(backend_->remove(key)));
  EXPECT_TRUE(fails_with(Code::kNotFound, backend_->info(key)));
  EXPECT_TRUE(succeeds(backend_->remove(key)));
}

TEST_F(WrittenPlace, ListsInOrder) {
  std::vector<std::string> keys;
  for (const char* name : {"b", "a/x", "a b", "a+c", "a/y/z", "ab", "\xc3\xa4", "a&d", "B"}) {
    keys.push_back(place(name, text(name)));
  }
  std::sort(keys.begin(), keys.end());
  std::vector<std::string> found;
  for (const ListedObject& object : listed(base_)) {
    found.push_back(object.key);
    EXPECT_EQ(object.info.bytes, object.key.size() - base_.size()) << object.key;
    EXPECT_GT(object.info.modified_ns, 0);
  }
  EXPECT_EQ(found, keys);
  EXPECT_EQ(listed(base_ + "a").size(), 6U);
  EXPECT_EQ(listed(base_ + "a/").size(), 2U);
  EXPECT_EQ(listed(base_ + "a/x").size(), 1U);
  EXPECT_EQ(listed(base_ + "nothing").size(), 0U);
  EXPECT_EQ(listed("nowhere/at/all").size(), 0U);
}

TEST_F(WrittenPlace, ListsMoreThanAPage) {
  constexpr size_t kCount = 1100;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = t; i < kCount; i += 4) place(std::to_string(10'000 + i), {});
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto all = listed(base_);
  ASSERT_EQ(all.size(), kCount);
  for (size_t i = 0; i < kCount; ++i) EXPECT_EQ(all[i].key, base_ + std::to_string(10'000 + i));
}

class Uploads : public WrittenPlace {
 protected:
  void SetUp() override {
    WrittenPlace::SetUp();
    if (IsSkipped()) return;
    part_bytes_ = std::max<uint64_t>(abilities_.part_bytes_least, 1000);
    key_ = base_ + "object";
    const auto begun = backend_->begin_upload(key_, part_bytes_);
    ASSERT_TRUE(succeeds(begun));
    upload_ = *begun;
  }
  UploadedPart add(uint32_t number, ByteSpan bytes) {
    const auto part = backend_->upload_part(key_, upload_, number, bytes);
    EXPECT_TRUE(succeeds(part));
    return part.value_or(UploadedPart());
  }
  std::vector<OpenUpload> open_uploads() {
    std::vector<OpenUpload> all;
    std::string from;
    do {
      const auto page = backend_->list_uploads(base_, from);
      EXPECT_TRUE(succeeds(page));
      if (!page) break;
      all.insert(all.end(), page->items.begin(), page->items.end());
      from = page->next;
    } while (!from.empty());
    return all;
  }

  uint64_t part_bytes_ = 0;
  std::string key_, upload_;
};

TEST_F(Uploads, ComeTogetherInTheOrderOfTheirNumbers) {
  const Bytes content = noise(2 * part_bytes_ + 77);
  const ByteSpan all = content;
  std::vector<UploadedPart> parts(3);
  parts[2] = add(3, all.subspan(2 * part_bytes_));
  std::thread other([&] { parts[0] = add(1, all.subspan(0, part_bytes_)); });
  parts[1] = add(2, all.subspan(part_bytes_, part_bytes_));
  other.join();
  EXPECT_TRUE(fails_with(Code::kNotFound, backend_->info(key_)));
  const auto listed = backend_->list_parts(key_, upload_);
  ASSERT_TRUE(succeeds(listed));
  ASSERT_EQ(listed->size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*listed)[i].number, i + 1);
    EXPECT_EQ((*listed)[i].bytes, parts[i].bytes);
    EXPECT_EQ((*listed)[i].version, parts[i].version);
  }
  ASSERT_EQ(open_uploads().size(), 1U);
  EXPECT_EQ(open_uploads()[0].key, key_);
  EXPECT_EQ(open_uploads()[0].upload, upload_);
  const auto done = backend_->complete_upload(key_, upload_, *listed, Condition::none());
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(whole(key_), content);
  EXPECT_TRUE(open_uploads().empty());
  // S3 may take it for a repetition of what it has done.
  const auto again = backend_->complete_upload(key_, upload_, *listed, Condition::none());
  EXPECT_TRUE(again ? is_server() : again.error().code == Code::kNotFound);
}

TEST_F(Uploads, PartsTakeEachOthersPlace) {
  add(1, text("first"));
  const auto part = add(1, text("second"));
  ASSERT_TRUE(backend_->complete_upload(key_, upload_, {part}, Condition::none()));
  EXPECT_EQ(whole(key_), text("second"));
}

TEST_F(Uploads, ThatAreAbortedLeaveNothing) {
  add(1, text("first"));
  EXPECT_TRUE(succeeds(backend_->abort_upload(key_, upload_)));
  EXPECT_TRUE(succeeds(backend_->abort_upload(key_, upload_)));
  EXPECT_TRUE(fails_with(Code::kNotFound, backend_->list_parts(key_, upload_)));
  if (!is_server()) {  // that of this test answers 500
    EXPECT_TRUE(fails_with(Code::kNotFound, backend_->upload_part(key_, upload_, 2, text("x"))));
  }
  EXPECT_TRUE(open_uploads().empty());
  EXPECT_TRUE(fails_with(Code::kNotFound, backend_->info(key_)));
}

TEST_F(Uploads, CreateOnlyWhatIsAbsent) {
  const auto part = add(1, text("new"));
  place("object", text("old"));
  EXPECT_EQ(code_of(backend_->complete_upload(key_, upload_, {part}, Condition::absent())),
            Code::kExists);
  EXPECT_EQ(whole(key_), text("old"));
  EXPECT_TRUE(succeeds(backend_->abort_upload(key_, upload_)));
}

TEST_F(Uploads, AreNoneOfTheObjects) {
  add(1, text("part"));
  for (const ListedObject& object : listed("")) {
    EXPECT_FALSE(object.key.starts_with("uploads")) << object.key;
  }
  EXPECT_TRUE(listed(base_).empty());
  EXPECT_TRUE(succeeds(backend_->abort_upload(key_, upload_)));
}

}  // namespace
}  // namespace cairn::remote
