#include "tests/gpu/nccl/fake_meeting.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace {

using cairn::gpu::NcclId;

class InMemory final : public FakeMeeting {
 public:
  void bring(const std::string& name, std::vector<uint8_t> bytes) override {
    brought_.emplace(name, std::move(bytes));
  }
  const std::vector<uint8_t>* find(const std::string& name) override {
    const auto found = brought_.find(name);
    return found == brought_.end() ? nullptr : &found->second;
  }

 private:
  std::map<std::string, std::vector<uint8_t>> brought_;
};

/// A file for each; it has its name when it is whole.
class InFolder final : public FakeMeeting {
 public:
  explicit InFolder(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
  }
  void bring(const std::string& name, std::vector<uint8_t> bytes) override {
    const auto early = folder_ / ("." + name);
    std::ofstream(early, std::ios::binary)
        .write(static_cast<const char*>(static_cast<const void*>(bytes.data())),
               static_cast<std::streamsize>(bytes.size()));
    std::filesystem::rename(early, folder_ / name);
  }
  const std::vector<uint8_t>* find(const std::string& name) override {
    const auto known = read_.find(name);
    if (known != read_.end()) return &known->second;
    std::ifstream file(folder_ / name, std::ios::binary);
    if (!file) return nullptr;
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    return &read_.emplace(name, std::vector<uint8_t>(bytes.begin(), bytes.end())).first->second;
  }

 private:
  const std::filesystem::path folder_;
  std::map<std::string, std::vector<uint8_t>> read_;
};

const char* folder() { return std::getenv("CAIRN_FAKE_NCCL_FOLDER"); }

uint64_t ids = 0;
std::map<std::string, std::shared_ptr<FakeMeeting>> meetings;

}  // namespace

bool FakeMeeting::is_in_memory() { return folder() == nullptr; }

NcclId FakeMeeting::new_id() {
  NcclId id;
  const std::string name = std::to_string(getpid()) + "-" + std::to_string(++ids);
  std::memcpy(id.bytes.data(), name.data(), name.size());
  return id;
}

std::shared_ptr<FakeMeeting> FakeMeeting::of(const NcclId& id) {
  const std::string name = id.bytes.data();
  std::shared_ptr<FakeMeeting>& meeting = meetings[name];
  if (meeting != nullptr) return meeting;
  if (is_in_memory())
    meeting = std::make_shared<InMemory>();
  else
    meeting = std::make_shared<InFolder>(std::filesystem::path(folder()) / name);
  return meeting;
}
