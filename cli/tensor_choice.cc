#include "cli/tensor_choice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/glob.h"

namespace cairn {

bool is_chosen(const std::vector<std::string>& globs, std::string_view name) {
  return globs.empty() || std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
           return glob_match(glob, name);
         });
}

tl::unexpected<Error> none_chosen(const std::vector<std::string>& globs, std::string_view tag) {
  return fail(Code::kNotFound,
              fmt::format("no tensor of {} matches '{}'", tag, fmt::join(globs, "' or '")),
              "'cairn show' lists the tensors");
}

}  // namespace cairn
