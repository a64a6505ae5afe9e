// Exports over an earlier one that end anywhere; what an export writes is for tests/cli.
#include "lib/formats/export_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <utility>

#include "tests/lib/store_fixture.h"
#include "tests/support/fault_fs.h"

namespace cairn {
namespace {

using Files = std::map<std::string, std::string>;  // contents by name
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kWhole = "model.safetensors";

class ExportFiles : public StoreFixture {
 protected:
  void save_tag(const std::string& tag, uint32_t seed) {
    SaveRequest request;
    request.tag = tag;
    std::vector<Bytes> data;
    for (uint32_t i = 0; i < 4; ++i) data.push_back(noise(2 * 64 * 96, seed + i));
    for (uint32_t i = 0; i < 4; ++i) {
      const std::string name = "w" + std::to_string(i);
      for (auto& source : cut(name, {64, 96}, data[i], 0, 1, false)) {
        request.tensors.push_back(source);
      }
    }
    request.attachments.push_back({"note", as_bytes(tag)});
    ASSERT_TRUE(save(*store_, request));
  }

  static Status export_tag(const Store& store, const std::string& tag, const std::string& folder,
                           size_t shards) {
    CAIRN_TRY(auto checkpoint, open_tag(store, tag));
    ExportRequest request;
    request.path = folder;
    request.format = ExportFormat::kHuggingFace;
    request.force = true;
    request.tensors = {"w0", "w1", "w2", "w3"};
    request.shard_bytes_max = 4 / shards * 2 * 64 * 96;
    CAIRN_CHECK(export_files(*checkpoint, request));
    return {};
  }

  static Files files_in(const std::string& folder) {
    Files files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      std::ifstream stream(entry.path(), std::ios::binary);
      files[entry.path().filename().string()] = {std::istreambuf_iterator<char>(stream), {}};
    }
    return files;
  }

  static bool has_all(const Files& files, const Files& wanted) {
    return std::all_of(wanted.begin(), wanted.end(), [&](const auto& file) {
      const auto found = files.find(file.first);
      return found != files.end() && found->second == file.second;
    });
  }

  /// An export of "new" over one of "old" ends at each of its calls in turn.
  void end_everywhere(size_t old_shards, size_t new_shards) {
    ASSERT_TRUE(export_tag(*store_, "old", folder_ / "old", old_shards));
    ASSERT_TRUE(export_tag(*store_, "new", folder_ / "new", new_shards));
    const Files old_files = files_in(folder_ / "old"), new_files = files_in(folder_ / "new");
    for (size_t fail_at = 0;; ++fail_at) {
      std::filesystem::remove_all(folder_ / "out");
      std::filesystem::copy(folder_ / "old", folder_ / "out");
      FaultFs faults(posix_fs());
      const auto store = *Store::open(faults, path());
      faults.error.code = Code::kFailed;
      faults.for_ever = true;
      faults.fail_at = faults.calls + fail_at;
      const Status done = export_tag(*store, "new", folder_ / "out", new_shards);
      const Files now = files_in(folder_ / "out");
      const bool has_entry = now.contains(kIndex) || now.contains(kWhole);
      EXPECT_TRUE(has_all(now, old_files) || !has_entry || has_all(now, new_files)) << fail_at;
      if (!done) continue;
      EXPECT_EQ(now, new_files);
      EXPECT_GT(fail_at, 20u);
      return;
    }
  }
};

TEST_F(ExportFiles, AFolderIsTheOldExportOrTheNewOrNone) {
  save_tag("old", 10);
  save_tag("new", 20);
  using Shards = std::pair<size_t, size_t>;
  for (const auto& [before, after] : {Shards{1, 2}, Shards{2, 1}, Shards{4, 2}}) {
    SCOPED_TRACE(std::to_string(before) + " to " + std::to_string(after));
    std::filesystem::remove_all(folder_ / "old");
    std::filesystem::remove_all(folder_ / "new");
    end_everywhere(before, after);
  }
}

}  // namespace
}  // namespace cairn
