// The form that torch.save wrote until PyTorch 1.6, and still does when it is asked to.
#pragma once

#include "lib/formats/torch_file.h"

namespace cairn {

/// By the number at its beginning.
bool is_legacy_torch(ByteSpan file);

/// Errors: as parse_torch_file().
Result<TorchFile> parse_torch_legacy(ByteSpan file, const std::string& path);

}  // namespace cairn
