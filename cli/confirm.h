// Asking before something is destroyed.
#pragma once

#include <string_view>

#include "base/error.h"
#include "cli/output.h"

namespace cairn {

/// Success when `yes` was given on the command line, or the person at the terminal answers `y` or
/// `yes` to the question. Errors: kUsage where nobody can be asked, kCancelled for any other
/// answer; either says that nothing was done. The question begins with what is to be done.
Status confirm(Output& output, std::string_view question, bool yes);

}  // namespace cairn
