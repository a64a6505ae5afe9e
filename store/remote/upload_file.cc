#include "store/remote/upload_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/beside.h"
#include "base/memory_guard.h"
#include "store/remote/crc32.h"

namespace cairn::remote {

UploadFile::~UploadFile() {
  while (!under_way_.empty()) {
    (void)guard_memory([&] { return stick(take_part()); }).has_value();
  }
  // What cannot be given up now is a collector's to find; nobody waits once more for a place that
  // was waited for.
  const bool is_lost = !state_ && state_.error().code == Code::kUnreachable;
  if (!is_done_ && !upload_.empty() && !is_lost) {
    (void)guard_memory([&] { return backend_.abort_upload(key_, upload_); }).has_value();
  }
}

Error UploadFile::about(Error error) const {
  error.message = fmt::format("writing '{}': {}", path_, error.message);
  return error;
}

/// After a failure nothing later is acknowledged.
Status UploadFile::stick(Status done) {
  if (state_ && !done) state_ = tl::unexpected(about(done.error()));
  return state_;
}

Result<size_t> UploadFile::read_at(uint64_t, MutableBytes) {
  return fail(Code::kBug, fmt::format("'{}' is read while it is written", path_));
}

bool UploadFile::read_cached_at(uint64_t, MutableBytes) { return false; }

Status UploadFile::write_at(uint64_t offset, ByteSpan data) {
  CAIRN_CHECK(state_);
  if (offset != bytes_ || is_done_) {
    return fail(Code::kBug, fmt::format("'{}' is not written in order", path_));
  }
  return stick(write(data));
}

Status UploadFile::write(ByteSpan data) {
  while (!data.empty()) {
    if (part_.room.size() == 0) part_.room = buffers_.take();
    const ByteSpan fits = data.first(std::min<size_t>(kPartBytes - part_.bytes, data.size()));
    std::memcpy(part_.room.data() + part_.bytes, fits.data(), fits.size());
    part_.crc32 = crc32_of(fits, part_.crc32);
    part_.bytes += fits.size();
    bytes_ += fits.size();
    data = data.subspan(fits.size());
    // The last part goes up when the end is known: a file of one part is put as it is.
    if (part_.bytes == kPartBytes && !data.empty()) CAIRN_CHECK(send_part());
  }
  return {};
}

Status UploadFile::truncate(uint64_t bytes) {
  CAIRN_CHECK(state_);
  if (bytes == bytes_) return {};
  return fail(Code::kBug, fmt::format("'{}' cannot be cut", path_));
}

Status UploadFile::send_part() {
  if (upload_.empty()) {
    CAIRN_TRY(upload_, backend_.begin_upload(key_, kPartBytes));
  }
  if (under_way_.size() == kPartsUnderWay) CAIRN_CHECK(take_part());
  const auto number = static_cast<uint32_t>(parts_.size() + under_way_.size() + 1);
  const auto part = std::make_shared<Part>(std::exchange(part_, {}));
  const auto send = [this, number, part] {
    return guard_memory([&] {
      auto sent = backend_.upload_part(key_, upload_, number, part->payload());
      buffers_.give_back(std::move(part->room));
      return sent;
    });
  };
  under_way_.push_back(run_beside(send));
  return {};
}

/// Waits for the part that was sent first.
Status UploadFile::take_part() {
  auto oldest = std::move(under_way_.front());
  under_way_.pop_front();
  CAIRN_TRY(parts_.emplace_back(), oldest.get());
  return {};
}

Status UploadFile::sync() {
  CAIRN_CHECK(state_);
  if (is_done_) return {};
  return stick(finish());
}

Status UploadFile::finish() {
  if (upload_.empty()) return put_whole();
  CAIRN_CHECK(send_part());
  while (!under_way_.empty()) CAIRN_CHECK(take_part());
  const WriteResult made = backend_.complete_upload(key_, upload_, parts_, Condition::absent());
  if (!made) CAIRN_CHECK(settle(made.error()));
  is_done_ = true;
  return {};
}

Status UploadFile::put_whole() {
  const WriteResult put = backend_.put(key_, part_.payload(), Condition::absent());
  buffers_.give_back(std::exchange(part_, {}).room);
  if (!put) CAIRN_CHECK(settle(put.error()));
  is_done_ = true;
  return {};
}

/// No other writer has the name: what is there after a lost answer, or of a copy of the request
/// that was made on the way, is this file, if it is as long.
Status UploadFile::settle(const WriteError& error) {
  if (!error.ambiguous && error.code != Code::kExists)
    return tl::unexpected(static_cast<const Error&>(error));
  const auto there = backend_.info(key_);
  if (there && there->bytes == bytes_) return {};
  return tl::unexpected(static_cast<const Error&>(error));
}

}  // namespace cairn::remote
