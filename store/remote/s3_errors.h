// What S3's refusals mean to the caller.
#pragma once

#include <string>

#include "store/remote/http_message.h"

namespace cairn::remote {

/// In words: status, code, message.
std::string tell_s3_answer(const HttpResponse& response);
/// The code of `<Error>`, also in an answer of status 200; empty: none.
std::string s3_code(const HttpResponse& response);
/// Whether the same request may succeed later, beyond what the status tells.
bool is_passing_s3_code(const std::string& code);
/// The end of an operation. `what`: what was done, on what.
Error s3_error(const std::string& what, const HttpResponse& response);

}  // namespace cairn::remote
