#include "store/tag_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/utf8.h"

namespace cairn {
namespace {

constexpr std::string_view kRule =
    "a tag name is segments of [A-Za-z0-9._=+-] separated by '/', 1 to 200 bytes in all, "
    "no segment empty, '.' or '..', not beginning with '-'";

bool is_tag_byte(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
         std::string_view("._=+-").find(c) != std::string_view::npos;
}

std::string segment_problem(std::string_view segment) {
  if (segment.empty()) return "a segment is empty";
  if (segment == "." || segment == "..") return fmt::format("a segment is '{}'", segment);
  const auto bad = std::find_if_not(segment.begin(), segment.end(), is_tag_byte);
  if (bad == segment.end()) return "";
  return fmt::format("'{}' may not be in it", shown(std::string_view(&*bad, 1)));
}

std::string name_problem(std::string_view name) {
  if (name.empty()) return "it is empty";
  if (name.size() > kTagNameBytesMax) return fmt::format("it has {} bytes", name.size());
  if (name.front() == '-') return "it begins with '-'";
  for (size_t start = 0; start <= name.size();) {
    const size_t end = std::min(name.find('/', start), name.size());
    const std::string problem = segment_problem(name.substr(start, end - start));
    if (!problem.empty()) return problem;
    start = end + 1;
  }
  return "";
}

}  // namespace

Status check_tag_name(std::string_view name) {
  const std::string problem = name_problem(name);
  if (problem.empty()) return {};
  return fail(Code::kUsage, fmt::format("malformed tag name '{}': {}", shown(name), problem),
              std::string(kRule));
}

std::string_view tag_prefix(std::string_view name) { return name.substr(0, name.rfind('/') + 1); }

}  // namespace cairn
