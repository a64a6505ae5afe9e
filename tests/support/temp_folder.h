// A folder that goes with the test.
#pragma once

#include <filesystem>
#include <string>

#include "base/bytes.h"
#include "base/random.h"

namespace cairn {

class TempFolder {
 public:
  /// `parent` chooses the file system, e.g. one in memory.
  explicit TempFolder(
      const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
    std::array<uint8_t, 8> name{};
    (void)random_bytes(name).has_value();
    path_ = parent / ("cairn-test-" + to_hex(name));
    std::filesystem::create_directories(path_);
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string path() const { return path_.string(); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace cairn
