// One writer for each format. Errors: as export_files().
#pragma once

#include <vector>

#include "lib/formats/export_plan.h"

namespace cairn {

Status export_safetensors(Checkpoint& checkpoint, const ExportRequest& request,
                          const std::vector<ExportedTensor>& tensors, ExportResult& result);
Status export_hugging_face(Checkpoint& checkpoint, const ExportRequest& request,
                           const std::vector<ExportedTensor>& tensors, ExportResult& result);
Status export_torch(Checkpoint& checkpoint, const ExportRequest& request,
                    const std::vector<ExportedTensor>& tensors, ExportResult& result);
Status export_dcp(Checkpoint& checkpoint, const ExportRequest& request,
                  const std::vector<ExportedTensor>& tensors, ExportResult& result);

}  // namespace cairn
