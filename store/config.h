// The file `config`: what never changes in a store (docs/FORMAT.md, section 2).
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "store/file_id.h"

namespace cairn {

inline constexpr uint64_t kFormatNumber = 1;
inline constexpr uint64_t kChunkElementsMin = 1024;
inline constexpr uint64_t kChunkElementsMax = uint64_t{1} << 24;
inline constexpr uint64_t kPackBytesMin = kMiB;
inline constexpr uint64_t kPackBytesMax = 64 * kGiB;
/// The feature of stores whose attachments are cut where their content says.
inline constexpr char kContentCuts[] = "content_cuts";

struct Features {
  std::vector<std::string> read, write, collect;
};

struct Config {
  SessionId store_id;
  std::string created;                          ///< RFC 3339, UTC
  uint64_t chunk_elements = uint64_t{1} << 19;  ///< power of two in the bounds above
  uint64_t opaque_chunk_bytes = 256 * kKiB;     ///< of attachments: all, or cut by content about
  uint64_t pack_bytes = 256 * kMiB;             ///< a data pack is closed after this many bytes
  Features features = {{kContentCuts}, {}, {}};
};

/// Whether attachments are cut where their content says, not in runs of one length.
bool has_content_cuts(const Config& config);
/// No chunk of an attachment is longer.
uint64_t attachment_chunk_bytes_max(const Config& config);
/// No chunk decodes to more: an item of the largest dtypes has 8 bytes.
inline uint64_t chunk_bytes_max(const Config& config) {
  return std::max(config.chunk_elements * 8, attachment_chunk_bytes_max(config));
}

/// Errors: kUsage when a value is out of its bounds.
Status check_config(const Config& config);
std::string encode_config(const Config& config);
/// Errors: kCorrupt; kNewerFormat when the format number or a feature needed to read is unknown.
Result<Config> decode_config(ByteSpan text, std::string_view path);
/// Errors: kNewerFormat when the store asks writers for a feature this program does not know.
Status check_may_write(const Config& config);
/// The same of a program that deletes or moves files.
Status check_may_collect(const Config& config);

}  // namespace cairn
