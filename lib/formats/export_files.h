// Writing a checkpoint to files of other formats: safetensors files, folders as Hugging Face
// libraries read them, files of torch.save, folders of torch.distributed.checkpoint.
#pragma once

#include <string>
#include <vector>

#include "lib/cairn.hpp"
#include "store/checkpoint.h"

namespace cairn {

enum class ExportFormat : uint8_t { kSafetensors, kHuggingFace, kTorch, kDcp };

struct ExportRequest {
  std::string path;
  ExportFormat format = ExportFormat::kSafetensors;
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
  std::vector<std::string> warnings;  ///< what the format has no place for
};

/// A file appears under its final name only when it is whole and durable. kTorch and kDcp write the
/// state that the tag holds, values and all; with a choice of tensors, or names of their own, only
/// these.
/// Errors: kExists without `force`; kUsage for a conversion that is not possible, two tensors of
/// one name, and dtypes that the format has not; kCorrupt; kNoSpace. Memory: a few slabs of 64 MiB;
/// kDcp: about a kilobyte for each piece; what is no tensor is held whole.
Result<ExportResult> export_files(Checkpoint& checkpoint, const ExportRequest& request);

/// What the files are written to: the store's file system, this machine's for a store elsewhere.
Fs& export_fs(const Checkpoint& checkpoint);

}  // namespace cairn
