// Bytes as text (RFC 4648, section 4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace cairn {

std::string to_base64(ByteSpan bytes);
/// nullopt for what to_base64() does not make.
std::optional<Bytes> from_base64(std::string_view text);

}  // namespace cairn
