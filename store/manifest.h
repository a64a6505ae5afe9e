// The manifest: what one checkpoint is, apart from where it lies (docs/FORMAT.md, section 5). The
// digest of its bytes is the identity of the checkpoint.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/error.h"
#include "store/attachment.h"

namespace cairn {

using Metadata = std::map<std::string, std::string>;

struct Manifest {
  std::optional<int64_t> step;
  Digest schema;
  Metadata metadata;                        ///< given by the user
  Metadata file_metadata;                   ///< `__metadata__` of imported safetensors files
  std::vector<AttachmentInfo> attachments;  ///< in increasing order of names, none twice
  std::vector<Digest> pages;                ///< those of the tensors, then of the attachments
};

/// REQUIRES: of all attachments or of none the edges are told.
Bytes encode_manifest(const Manifest& manifest);
/// Where attachments are cut in runs, their edges are to be settled (settle_edges).
Result<Manifest> decode_manifest(ByteSpan bytes);

}  // namespace cairn
