#include "lib/formats/export_files.h"

#include "lib/formats/export_formats.h"

namespace cairn {

Fs& export_fs(const Checkpoint& checkpoint) {
  Fs& fs = checkpoint.store().fs();
  return fs.read_habits().is_remote ? posix_fs() : fs;
}

static Status write(Checkpoint& checkpoint, const ExportRequest& request,
                    const std::vector<ExportedTensor>& tensors, ExportResult& result) {
  switch (request.format) {
    case ExportFormat::kSafetensors:
      return export_safetensors(checkpoint, request, tensors, result);
    case ExportFormat::kHuggingFace:
      return export_hugging_face(checkpoint, request, tensors, result);
    case ExportFormat::kTorch:
      return export_torch(checkpoint, request, tensors, result);
    case ExportFormat::kDcp:
      return export_dcp(checkpoint, request, tensors, result);
  }
  return {};
}

Result<ExportResult> export_files(Checkpoint& checkpoint, const ExportRequest& request) {
  ExportResult result;
  CAIRN_TRY(const auto tensors, plan_export(checkpoint, request));
  if (request.call.progress != nullptr) {
    for (const ExportedTensor& tensor : tensors) {
      request.call.progress->total_bytes += tensor.bytes;
    }
  }
  CAIRN_CHECK(write(checkpoint, request, tensors, result));
  return result;
}

}  // namespace cairn
