// A new file of a store that lies elsewhere: bytes go up in parts while it is written.
#pragma once

#include <deque>
#include <future>
#include <string>
#include <vector>

#include "base/fs.h"
#include "store/remote/backend.h"
#include "store/remote/part_buffers.h"

namespace cairn::remote {

/// Written from its begin to its end. It is there, whole, once sync() has succeeded; a file that
/// goes without is not there. Memory: kPartsUnderWay parts and one that is filled.
/// Threads: one at a time.
class UploadFile final : public File {
 public:
  static constexpr uint64_t kPartBytes = ConditionalFiles::kSentAtOnceBytes;
  static constexpr size_t kPartsUnderWay = 4;
  static_assert((kPartsUnderWay + 1) * kPartBytes == ConditionalFiles::kSentInPartsBytes);

  UploadFile(Backend& backend, PartBuffers& buffers, std::string key, std::string path)
      : backend_(backend), buffers_(buffers), key_(std::move(key)), path_(std::move(path)) {}
  ~UploadFile() override;

  Result<size_t> read_at(uint64_t offset, MutableBytes out) override;
  bool read_cached_at(uint64_t offset, MutableBytes out) override;
  /// REQUIRES: `offset` is where the last write ended.
  Status write_at(uint64_t offset, ByteSpan data) override;
  /// REQUIRES: `bytes` is where the last write ended.
  Status truncate(uint64_t bytes) override;
  Status sync() override;
  Result<uint64_t> size() override { return bytes_; }
  bool direct() const override { return false; }
  const std::string& path() const override { return path_; }

 private:
  struct Part {
    AlignedBuffer room;
    uint64_t bytes = 0;
    uint32_t crc32 = 0;  // of them, taken as they came

    Payload payload() const { return {room.span().first(bytes), crc32}; }
  };

  Status stick(Status done);
  Status write(ByteSpan data);
  Status finish();
  Status send_part();
  Status take_part();
  Status put_whole();
  Status settle(const WriteError& error);
  Error about(Error error) const;

  Backend& backend_;
  PartBuffers::User buffers_;
  const std::string key_, path_;
  Part part_;  // that is being filled
  uint64_t bytes_ = 0;
  std::string upload_;  // empty: not begun
  std::deque<std::future<Result<UploadedPart>>> under_way_;
  std::vector<UploadedPart> parts_;
  bool is_done_ = false;
  Status state_;
};

}  // namespace cairn::remote
