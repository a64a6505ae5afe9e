// What a checkpoint says of an attachment, and where its bytes are cut into chunks: in runs of one
// length, or, in stores of content cuts, where its manifest tells (docs/FORMAT.md, section 5).
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "store/config.h"

namespace cairn {

/// Where the chunks of an attachment begin and end, whatever the rule.
class ChunkEdges {
 public:
  ChunkEdges() = default;
  /// Runs of that many bytes, the last one shorter. REQUIRES: run_bytes > 0.
  static ChunkEdges runs(uint64_t bytes, uint64_t run_bytes);
  /// Told one by one: where each chunk ends. REQUIRES: strictly increasing, none 0.
  static ChunkEdges told(std::vector<uint64_t> ends);

  bool are_told() const { return are_told_; }
  uint64_t count() const;
  // REQUIRES: chunk < count().
  uint64_t begin(uint64_t chunk) const;
  uint64_t length(uint64_t chunk) const;

  bool operator==(const ChunkEdges&) const = default;

 private:
  bool are_told_ = false;
  std::vector<uint64_t> ends_;             // where they are told
  uint64_t bytes_ = 0, run_bytes_ = kMiB;  // else
};

struct AttachmentInfo {
  std::string name;
  uint64_t bytes = 0;
  ChunkEdges edges = {};  ///< of a manifest just decoded: only if it tells them
};

/// What manifests do not tell the store's rule says: gives the attachments their runs where they
/// are cut in such. Errors: kCorrupt where a store of content cuts has attachments without told
/// edges, or another has some with them; for a chunk longer than the store's chunks may be.
Status settle_edges(std::vector<AttachmentInfo>& attachments, const Config& config);

}  // namespace cairn
