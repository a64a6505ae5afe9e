#include "cli/exit_codes.h"

namespace cairn {

int exit_status(Code code, int stop_signal) {
  if (code == Code::kCancelled && stop_signal != 0) return 128 + stop_signal;
  return code_number(code);
}

std::string_view exit_word(Code code) {
  return code == Code::kBug ? code_name(Code::kFailed) : code_name(code);
}

}  // namespace cairn
