// What an answer that is no success means to the caller.
#pragma once

#include <string>

#include "store/remote/http_message.h"

namespace cairn::remote {

/// `404 Not Found`; the number alone where it has no name here.
std::string status_text(int status);
/// What a server, or libcurl, said: as cairn::shown(), cut after 180 bytes.
std::string shown_long(std::string_view bytes);
/// The end of an operation by `response`. `what`: what was done, on what; `told`: the answer in
/// words.
Error answer_error(const std::string& what, const HttpResponse& response, const std::string& told);

}  // namespace cairn::remote
