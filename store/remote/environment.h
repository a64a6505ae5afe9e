// Environment variables, so that tests can say what they are.
#pragma once

#include <functional>
#include <map>
#include <string>

namespace cairn::remote {

class Environment {
 public:
  /// That of the process.
  Environment();
  /// These variables and no others.
  explicit Environment(std::map<std::string, std::string> variables);

  /// Empty where it is not set.
  std::string get(const std::string& name) const { return get_(name); }
  /// The home folder, empty where there is none.
  std::string home() const { return get("HOME"); }
  /// Whether it is set to what people mean by yes: `true`, `1`, `yes`, in any case.
  bool says_yes(const std::string& name) const;

 private:
  std::function<std::string(const std::string&)> get_;
};

}  // namespace cairn::remote
