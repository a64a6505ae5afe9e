// Zip archives whose entries are stored as they are, as torch.save writes them. No byte is copied.
// The format: PKWARE's APPNOTE 6.3.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace cairn {

struct ZipEntry {
  std::string name;
  ByteSpan bytes;
};

/// The entries in the order of the archive's directory. Errors: kUsage for what is no whole zip
/// archive, and for entries that are compressed or encrypted.
Result<std::vector<ZipEntry>> read_zip(ByteSpan archive, const std::string& path);

}  // namespace cairn
