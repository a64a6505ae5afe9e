// Zip archives whose entries lie in them as they are, as torch.save writes them. No byte is copied.
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
  bool is_plain = true;  ///< otherwise compressed or encrypted: `bytes` are not what it holds
};

/// The entries in the order of the archive's directory. Errors: kUsage for what is no whole zip
/// archive.
Result<std::vector<ZipEntry>> read_zip(ByteSpan archive, const std::string& path);

}  // namespace cairn
