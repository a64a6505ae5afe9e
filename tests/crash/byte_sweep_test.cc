// Every byte of a small store is damaged, one at a time. Whatever it was, reading the store either
// gives the bytes that were saved or an error that says what is wrong, `check` finds what a reader
// trips over, and a save on top never makes a tag of wrong bytes.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "lib/cairn.hpp"
#include "lib/check.h"
#include "lib/strided.h"
#include "store/checkpoint.h"

namespace cairn {
namespace {

namespace fs = std::filesystem;

struct Saved {
  std::map<std::string, Bytes> tensors;
  std::map<std::string, Bytes> attachments;
};

Bytes noise(size_t bytes, uint8_t seed) {
  Bytes data(bytes);
  uint32_t state = seed * 2654435761u + 1;
  for (uint8_t& byte : data)
    byte = static_cast<uint8_t>((state = state * 1664525u + 1013904223u) >> 24);
  return data;
}

class ByteSweep : public ::testing::Test {
 protected:
  void SetUp() override {
    const fs::path base = fs::is_directory("/dev/shm") ? "/dev/shm" : fs::temp_directory_path();
    folder_ = base / ("cairn-sweep-" + SessionId::fresh()->hex());
    Config config;
    config.chunk_elements = 1024;
    ASSERT_TRUE(Store::init(posix_fs(), path(), config));
    save_all();
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      // No one ever reads the ballast.
      const bool is_kept = entry.is_regular_file() && entry.path().filename() != "ballast";
      if (is_kept) files_[entry.path()] = read(entry.path());
    }
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path() const { return folder_.string(); }

  static Bytes read(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return Bytes(std::istreambuf_iterator<char>(in), {});
  }
  static void write(const fs::path& file, const Bytes& bytes) {
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
  }

  /// Raw, zero and zstd copies, inline chunks, pieces, an attachment; two tags that share chunks.
  void save_all() {
    Saved first;
    first.tensors = {{"a", noise(3000, 1)}, {"b", noise(40, 2)}, {"z", Bytes(2500, 0)}};
    first.attachments = {{"notes", Bytes(900, 'n')}};
    saved_["run/1"] = first;
    Saved second = first;
    second.tensors["a"][2999] ^= 1;
    saved_["run/2"] = second;
    for (const auto& [tag, state] : saved_) ASSERT_TRUE(save_tag(tag, state)) << tag;
  }

  Status save_tag(const std::string& tag, const Saved& state) const {
    SaveRequest request;
    request.tag = tag;
    for (const auto& [name, bytes] : state.tensors) {
      // Two writers whose cut falls inside a chunk hold pieces of it.
      const uint64_t half = bytes.size() / 2 + 7;
      const Shape shape{bytes.size()};
      request.tensors.push_back({name, Dtype::kU8, shape, {{0}, {half}}, bytes.data(), {}, 0});
      request.tensors.push_back(
          {name, Dtype::kU8, shape, {{half}, {bytes.size() - half}}, bytes.data() + half, {}, 1});
    }
    for (const auto& [name, bytes] : state.attachments)
      request.attachments.push_back({name, bytes});
    CAIRN_TRY(const auto store, Store::open(posix_fs(), path()));
    CAIRN_CHECK(save(*store, request));
    return {};
  }

  /// Everything of a tag. Errors: what a reader would be told.
  static Result<Saved> load_tag(const Store& store, const std::string& tag, const Saved& like) {
    CAIRN_TRY(const auto checkpoint, open_tag(store, tag));
    Saved loaded;
    LoadRequest request;
    request.call.threads = 1;
    for (const auto& [name, bytes] : like.tensors) {
      Bytes& target = loaded.tensors[name] = Bytes(bytes.size(), 0xee);
      const Shape shape{bytes.size()};
      request.targets.push_back({name, Dtype::kU8, shape, whole_box(shape), target.data(), {}});
    }
    CAIRN_CHECK(load(*checkpoint, request));
    for (const auto& attachment : checkpoint->manifest().attachments) {
      Bytes& target = loaded.attachments[attachment.name];
      CAIRN_CHECK(read_attachment(*checkpoint, attachment.name, [&](ByteSpan part) -> Status {
        append_bytes(target, part);
        return {};
      }));
    }
    return loaded;
  }

  struct Finding {
    bool tags_readable = true;
    std::map<std::string, bool> tag_is_whole;
  };

  /// Reads all tags; a tag that can be read must have the right bytes, an error a message.
  Finding read_everything(const std::string& where) const {
    Finding finding;
    const auto store = Store::open(posix_fs(), path());
    const auto tags = store ? (*store)->read_tags() : Result<TagList>(TagList{});
    finding.tags_readable = store && tags;
    EXPECT_TRUE(store || !store.error().message.empty()) << where;
    EXPECT_TRUE(tags || !tags.error().message.empty()) << where;
    if (!finding.tags_readable) return finding;
    EXPECT_EQ(tags->tags.size(), saved_.size()) << where << ": a tag vanished without a word";
    for (const auto& [tag, state] : saved_) {
      const auto loaded = load_tag(**store, tag, state);
      finding.tag_is_whole[tag] = loaded.has_value();
      if (loaded) {
        EXPECT_EQ(loaded->tensors, state.tensors) << where << ": wrong bytes in " << tag;
        EXPECT_EQ(loaded->attachments, state.attachments) << where << ": wrong bytes in " << tag;
      } else {
        EXPECT_NE(loaded.error().message.find(tag), std::string::npos)
            << where << ": the error does not name the tag: " << loaded.error().message;
      }
    }
    return finding;
  }

  /// What a reader trips over, `check` names.
  void expect_check_agrees(const Finding& finding, const std::string& where) const {
    if (!finding.tags_readable) return;
    const auto store = Store::open(posix_fs(), path());
    const auto tags = (*store)->read_tags();
    CheckRequest request;
    request.tags = tags->tags;
    request.read_percent = 100;
    request.threads = 1;
    const auto report = check(**store, request);
    ASSERT_TRUE(report) << where << ": " << report.error().message;
    if (where == "intact") {
      for (const Damage& damage : report->damage) ADD_FAILURE() << damage.tag << damage.message;
    }
    for (const auto& [tag, is_whole] : finding.tag_is_whole) {
      const bool named =
          std::any_of(report->damage.begin(), report->damage.end(),
                      [&, name = tag](const Damage& damage) { return damage.tag == name; });
      // The layout, which a load does not need, may be what is damaged.
      EXPECT_TRUE(named || is_whole) << where << ": check does not name " << tag;
    }
  }

  fs::path folder_;
  std::map<std::string, Saved> saved_;
  std::map<fs::path, Bytes> files_;
};

TEST_F(ByteSweep, DamageIsNamedOrHarmless) {
  const Finding intact = read_everything("intact");
  ASSERT_TRUE(intact.tags_readable);
  expect_check_agrees(intact, "intact");
  size_t bytes = 0, detected = 0;
  for (const auto& [file, content] : files_) {
    Bytes damaged = content;
    for (size_t at = 0; at < content.size() && !HasFailure(); ++at, ++bytes) {
      for (const uint8_t mask : {0x01, 0xff}) {
        damaged[at] = content[at] ^ mask;
        write(file, damaged);
        const std::string where = file.filename().string() + " at " + std::to_string(at);
        const Finding finding = read_everything(where);
        if (mask == 0xff) expect_check_agrees(finding, where);
        const bool whole = finding.tags_readable &&
                           std::all_of(finding.tag_is_whole.begin(), finding.tag_is_whole.end(),
                                       [](const auto& tag) { return tag.second; });
        if (!whole) ++detected;
      }
      damaged[at] = content[at];
    }
    write(file, content);
  }
  EXPECT_GT(bytes, 5000u);
  EXPECT_GT(detected, bytes / 2);
}

TEST_F(ByteSweep, EveryTruncationIsNamedOrHarmless) {
  for (const auto& [file, content] : files_) {
    for (size_t length = 0; length < content.size() && !HasFailure(); length += 1 + length / 64) {
      write(file, Bytes(content.begin(), content.begin() + static_cast<ptrdiff_t>(length)));
      const std::string where = file.filename().string() + " cut at " + std::to_string(length);
      expect_check_agrees(read_everything(where), where);
    }
    write(file, content);
  }
}

TEST_F(ByteSweep, AMissingFileIsNamed) {
  for (const auto& [file, content] : files_) {
    fs::remove(file);
    const std::string where = file.filename().string() + " deleted";
    expect_check_agrees(read_everything(where), where);
    write(file, content);
  }
}

TEST_F(ByteSweep, ASaveOnDamagedGroundIsRightOrRefused) {
  const Saved& state = saved_.at("run/2");
  for (const auto& [file, content] : files_) {
    Bytes damaged = content;
    for (size_t at = 0; at < content.size() && !HasFailure(); at += 13) {
      damaged[at] = content[at] ^ 0xff;
      write(file, damaged);
      damaged[at] = content[at];
      const std::string where = file.filename().string() + " at " + std::to_string(at);
      if (save_tag("run/3", state)) {
        const auto store = Store::open(posix_fs(), path());
        ASSERT_TRUE(store) << where;
        const auto loaded = load_tag(**store, "run/3", state);
        // A copy shared with the damaged base may be the damaged one: then the load says so.
        EXPECT_TRUE(!loaded || loaded->tensors == state.tensors) << where;
      }
      for (const auto& [each, bytes] : files_) write(each, bytes);
    }
  }
}

}  // namespace
}  // namespace cairn
