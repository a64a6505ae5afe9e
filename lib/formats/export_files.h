// Writing a checkpoint to safetensors files: one file, or a folder as Hugging Face libraries read
// it.
#pragma once

#include <string>
#include <vector>

#include "lib/cairn.hpp"
#include "store/checkpoint.h"

namespace cairn {

struct ExportRequest {
  std::string path;
  bool as_folder = false;
  std::vector<std::string> tensors;  ///< names to write, as stored
  std::vector<Rename> rename;
  std::optional<Dtype> float_dtype;  ///< what floating-point tensors become
  uint64_t shard_bytes_max = 5'000'000'000;
  bool force = false;
  CallOptions call;
};

struct ExportResult {
  std::vector<std::string> files;
  uint64_t tensors = 0;
  uint64_t bytes = 0;  ///< of tensors
  uint64_t attachments = 0;
};

/// A file appears under its final name only when it is whole and durable.
/// Errors: kExists without `force`; kUsage for a conversion that is not possible or two tensors of
/// one name; kCorrupt; kNoSpace. Memory: a few slabs of 64 MiB.
Result<ExportResult> export_files(Checkpoint& checkpoint, const ExportRequest& request);

}  // namespace cairn
