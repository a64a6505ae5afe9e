#include "lib/cairn.hpp"

namespace cairn {

std::string_view version() { return CAIRN_VERSION; }

}  // namespace cairn
