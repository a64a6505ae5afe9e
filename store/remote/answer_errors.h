// What an answer that is no success means to the caller.
#pragma once

#include <string>

#include "store/remote/http_message.h"

namespace cairn::remote {

/// `404 Not Found`; the number alone where it has no name here.
std::string status_text(int status);
/// The end of an operation by `response`. `what`: what was done, on what; `told`: the answer in
/// words.
Error answer_error(const std::string& what, const HttpResponse& response, const std::string& told);

}  // namespace cairn::remote
