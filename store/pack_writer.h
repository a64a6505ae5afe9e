// Data packs of one session: copies are appended by any thread, in packs of bounded size, and are
// durable once finish() has succeeded.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/fs.h"
#include "base/io.h"
#include "store/locator.h"
#include "store/pack_format.h"

namespace cairn {

/// A copy to be stored: `stored` decodes by `encoding` to bytes with `digest`.
struct NewCopy {
  Digest digest;
  Encoding encoding = Encoding::kRaw;
  uint32_t decoded_bytes = 0;
  ByteSpan stored;  ///< borrowed for the call
};

/// After an error every later call fails with it. Threads: any.
class PackWriter {
 public:
  PackWriter(Fs& fs, std::string store_path, const SessionId& session, uint64_t pack_bytes)
      : fs_(fs), store_path_(std::move(store_path)), session_(session), pack_bytes_(pack_bytes) {}

  /// Where the copy will lie once finish() has succeeded.
  Result<Copy> append(const NewCopy& copy);
  /// Seals and syncs the last pack. Nothing may be appended afterwards.
  Status finish();

  /// Bytes of all packs, sealed ones and the open one.
  uint64_t stored_bytes() const;
  /// Packs begun so far: their numbers are 0 to this - 1.
  uint32_t packs_begun() const;

 private:
  Status begin_pack();
  Status seal_pack();
  Result<Copy> append_locked(const NewCopy& copy);

  Fs& fs_;
  const std::string store_path_;
  const SessionId session_;
  const uint64_t pack_bytes_;
  mutable std::mutex mutex_;
  std::unique_ptr<AppendWriter> open_;
  std::vector<PackedCopy> copies_;  // of the open pack
  uint32_t packs_begun_ = 0;
  uint64_t sealed_bytes_ = 0;
  Status state_;
};

}  // namespace cairn
