#include "cli/exit_codes.h"

#include <csignal>

namespace cairn {

int exit_status(Code code, int stop_signal) {
  switch (code) {
    case Code::kFailed:
      return kExitFailed;
    case Code::kUsage:
      return kExitUsage;
    case Code::kCancelled:
      return 128 + (stop_signal != 0 ? stop_signal : SIGINT);
    case Code::kPartial:
      return 3;
    case Code::kAuth:
      return 4;
    case Code::kNoStore:
      return 10;
    case Code::kBusy:
      return 11;
    case Code::kCorrupt:
      return 12;
    case Code::kNoSpace:
      return 13;
    case Code::kNewerFormat:
      return 14;
    case Code::kNotFound:
      return 15;
    case Code::kExists:
      return 16;
    case Code::kUnreachable:
      return 17;
    case Code::kProtected:
      return 18;
    case Code::kBug:
      return kExitFailed;
  }
  return kExitFailed;
}

std::string_view exit_word(Code code) {
  return code == Code::kBug ? code_name(Code::kFailed) : code_name(code);
}

}  // namespace cairn
