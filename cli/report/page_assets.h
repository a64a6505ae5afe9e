// page.css and page.js as the build compiled them in (cli/report/page_assets.py).
#pragma once

#include <string_view>

namespace cairn {

std::string_view page_style();
std::string_view page_script();
/// `sha256-...` of the script: the page's policy lets no other one run.
std::string_view page_script_hash();

}  // namespace cairn
