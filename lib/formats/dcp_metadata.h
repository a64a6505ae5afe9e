// The file `.metadata` of a folder of torch.distributed.checkpoint: a pickle of its Metadata
// (torch/distributed/checkpoint/metadata.py) with the places of a FileSystemWriter.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/formats/state.h"
#include "lib/tensor.h"

namespace cairn {

inline constexpr std::string_view kDcpMetadataName = ".metadata";
inline constexpr std::string_view kDcpSuffix = ".distcp";
/// Whether readers of such a folder begin there.
inline bool is_dcp_entry(const std::string& name) { return name == kDcpMetadataName; }

/// Where a file of torch.save lies: a piece of a tensor, or a value.
struct DcpPlace {
  std::string file;  ///< in the folder
  uint64_t offset = 0, bytes = 0;
};

struct DcpPiece {
  Box box;
  DcpPlace place;
};

struct DcpItem {
  std::string key;
  bool is_tensor = false;
  Dtype dtype = Dtype::kU8;
  Shape shape = {};
  std::vector<DcpPiece> pieces = {};  ///< of tensors; may leave holes, and overlap
  DcpPlace value = {};                ///< of others
  bool requires_grad = false;
  int64_t memory_format = 0;  ///< 0 contiguous, 1 channels last, 2 preserved
};

/// Text and integers.
using DcpPath = std::vector<StateKey>;

struct DcpMetadata {
  std::vector<DcpItem> items;  ///< in the order of the state
  /// A key's way through the state. nullopt: the planner has kept none, or something else.
  std::vector<std::pair<std::string, DcpPath>> paths;
  /// What the planner has kept, as JSON, where it is not such paths (python/cairn/torch/
  /// _planner_data.py); null otherwise.
  nlohmann::json planner_data;
};

/// Errors: kUsage for what is no such pickle, names what is none of DCP's, places files outside the
/// folder, or holds tensors that Cairn does not store; nothing of it is run.
Result<DcpMetadata> parse_dcp_metadata(ByteSpan file, const std::string& path);

/// What a FileSystemReader loads.
Result<Bytes> encode_dcp_metadata(const DcpMetadata& metadata);

}  // namespace cairn
