// Exit statuses of the program, a contract with scripts (docs/cli/cairn.md has the table). A
// command that could not say more than "failed" exits 1; every wrong use of flags exits 2.
#pragma once

#include <string_view>

#include "base/error.h"

namespace cairn {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

/// The status for an error. `stop_signal` is the signal that asked to stop (0: none), by which
/// kCancelled becomes 130 or 143 as a shell would report it.
int exit_status(Code code, int stop_signal = 0);

/// The word scripts see in `{"error": {"code": ...}}`: one of the contract's, so that a broken
/// invariant of ours reads "failed" like any other failure.
std::string_view exit_word(Code code);

}  // namespace cairn
