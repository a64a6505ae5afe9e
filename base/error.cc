#include "base/error.h"

#include <cerrno>
#include <cstring>

namespace cairn {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kFailed:
      return "failed";
    case Code::kUsage:
      return "usage";
    case Code::kCancelled:
      return "cancelled";
    case Code::kPartial:
      return "partial";
    case Code::kAuth:
      return "auth";
    case Code::kNoStore:
      return "no-store";
    case Code::kBusy:
      return "busy";
    case Code::kCorrupt:
      return "corrupt";
    case Code::kNoSpace:
      return "no-space";
    case Code::kNewerFormat:
      return "newer-format";
    case Code::kNotFound:
      return "not-found";
    case Code::kExists:
      return "exists";
    case Code::kUnreachable:
      return "unreachable";
    case Code::kProtected:
      return "protected";
    case Code::kBug:
      return "bug";
  }
  return "failed";
}

int code_number(Code code) {
  switch (code) {
    case Code::kFailed:
    case Code::kBug:
      return 1;
    case Code::kUsage:
      return 2;
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
    case Code::kCancelled:
      return 130;
  }
  return 1;
}

tl::unexpected<Error> fail_errno(int number, std::string message) {
  Code code = Code::kFailed;
  std::string hint;
  if (number == ENOSPC || number == EDQUOT) {
    code = Code::kNoSpace;
    hint = "free space on that file system and repeat the command";
  } else if (number == ENOENT || number == ENOTDIR) {
    code = Code::kNotFound;
  } else if (number == EEXIST) {
    code = Code::kExists;
  }
  return fail(code, message + ": " + std::strerror(number), hint);
}

Error with_context(Error error, std::string_view doing) {
  error.message += " (while ";
  error.message += doing;
  error.message += ')';
  return error;
}

}  // namespace cairn
