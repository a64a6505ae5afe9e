#include "lib/cairn.h"
#include "lib/cairn.hpp"

namespace cairn {

std::string_view version() { return CAIRN_VERSION; }

}  // namespace cairn

extern "C" const char* cairn_version_text(void) { return CAIRN_VERSION; }
