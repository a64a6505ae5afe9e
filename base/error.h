// Errors are values: every call that can fail returns Result<T>; nothing in Cairn throws across a
// layer, aborts or exits. A Code says what the caller should do about the failure; the command line
// maps it to an exit status (cli/exit_codes.h) and the C ABI to a status word.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace cairn {

/// What went wrong, named by what the caller can do next.
enum class Code : uint8_t {
  kFailed,       ///< I/O error or anything without a better name; the message is all there is
  kUsage,        ///< the request itself is malformed; change it
  kCancelled,    ///< the caller asked to stop
  kPartial,      ///< done in part; what is left is listed
  kAuth,         ///< credentials were refused
  kNoStore,      ///< no store at that place
  kBusy,         ///< another process holds what this needs; try again later
  kCorrupt,      ///< stored bytes are damaged; the message names where
  kNoSpace,      ///< disk full or quota; free space and repeat
  kNewerFormat,  ///< written by a newer Cairn; upgrade
  kNotFound,     ///< no such tag, tensor, attachment or file
  kExists,       ///< the name is taken
  kUnreachable,  ///< remote down or timed out
  kProtected,    ///< refused without an explicit permission
  kBug,          ///< an invariant of Cairn itself does not hold
};

/// The contract word of a code, as in `{"error": {"code": "not-found"}}`.
std::string_view code_name(Code code);

/// The number of a code in the contract: the exit status of the program (docs/cli/cairn.md) and the
/// status of the C ABI. A broken invariant of ours is a failure like any other.
int code_number(Code code);

struct Error {
  Code code = Code::kFailed;
  std::string message;  ///< what failed, on what, why; no capital, no full stop
  std::string hint;     ///< what to do next; empty when there is nothing better than the message
};

/// A value or an Error. Dropping one is a compile error under -Werror=unused-result.
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

/// Success or an Error.
using Status = Result<void>;

inline tl::unexpected<Error> fail(Code code, std::string message, std::string hint = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(hint)});
}

/// `message: strerror(number)`, with ENOSPC, EDQUOT, ENOENT and EEXIST mapped to their codes.
tl::unexpected<Error> fail_errno(int number, std::string message);

/// The same error with " (while ...)" added to its message.
Error with_context(Error error, std::string_view doing);

}  // namespace cairn

#define CAIRN_CONCAT_INNER(a, b) a##b
#define CAIRN_CONCAT(a, b) CAIRN_CONCAT_INNER(a, b)

/// Returns from the enclosing function when the Status or Result is an error.
#define CAIRN_CHECK(expression)                                                \
  do {                                                                         \
    if (auto cairn_checked = (expression); !cairn_checked)                     \
      return tl::unexpected<::cairn::Error>(std::move(cairn_checked).error()); \
  } while (false)

/// Declares or assigns `target` from the Result's value, or returns its error.
#define CAIRN_TRY(target, expression) \
  CAIRN_TRY_INNER(CAIRN_CONCAT(cairn_result_, __LINE__), target, expression)
#define CAIRN_TRY_INNER(result, target, expression)                              \
  auto result = (expression);                                                    \
  if (!result) return tl::unexpected<::cairn::Error>(std::move(result).error()); \
  target = std::move(result).value()
