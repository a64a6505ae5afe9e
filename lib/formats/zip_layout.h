// Zip archives whose entries are stored as they are, written from front to back: where everything
// is going to lie follows from names and sizes, and the checksums come after the bytes.
// The format: PKWARE's APPNOTE 6.3. Data begins at multiples of 64 bytes, by padding in an extra
// field, as torch.save has it (caffe2/serialize/inline_container.cc), so that it can be mapped.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"

namespace cairn {

class ZipLayout {
 public:
  /// Returns the entry's number. All are added before anything else is asked.
  size_t add(std::string name, uint64_t bytes);

  size_t size() const { return entries_.size(); }
  uint64_t header_at(size_t number) const { return entries_[number].header_at; }
  uint64_t data_at(size_t number) const { return entries_[number].data_at; }
  uint64_t bytes_of(size_t number) const { return entries_[number].bytes; }
  uint64_t directory_at() const { return end_; }
  uint64_t total_bytes() const;

  /// From header_at() to data_at().
  Bytes header(size_t number) const;
  /// Right after the data.
  Bytes descriptor(size_t number, uint32_t checksum) const;
  /// The end of the archive. `checksums`: CRC-32 of each entry.
  Bytes directory(const std::vector<uint32_t>& checksums) const;

 private:
  struct Entry {
    std::string name;
    uint64_t bytes = 0;
    uint64_t header_at = 0, data_at = 0;
  };
  static bool is_wide(const Entry& entry) { return entry.bytes >= UINT32_MAX; }
  static uint64_t fields_bytes(const Entry& entry);

  std::vector<Entry> entries_;
  uint64_t end_ = 0;
};

}  // namespace cairn
