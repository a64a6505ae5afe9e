#include "store/remote/environment.h"

#include <cstdlib>

#include "store/remote/ascii.h"

namespace cairn::remote {

Environment::Environment()
    : get_([](const std::string& name) -> std::string {
        const char* value = std::getenv(name.c_str());
        return value == nullptr ? "" : value;
      }) {}

Environment::Environment(std::map<std::string, std::string> variables)
    : get_([variables = std::move(variables)](const std::string& name) -> std::string {
        const auto found = variables.find(name);
        return found == variables.end() ? "" : found->second;
      }) {}

bool Environment::says_yes(const std::string& name) const {
  const std::string value = lower(get(name));
  return value == "true" || value == "1" || value == "yes";
}

}  // namespace cairn::remote
