"""What calls raise: one class for each code of the command line's contract (docs/cli/cairn.md)."""


class Error(Exception):
    """A call that failed. `str(error)` says what and what to do next.

    code: the contract's word, "not-found" and the like; number: its exit status;
    message, hint: the two parts of the text; the hint may be "".
    """

    code = "failed"
    number = 1

    def __init__(self, message, hint=""):
        super().__init__(f"{message}; {hint}" if hint else message)
        self.message = message
        self.hint = hint

    def __reduce__(self):
        return type(self), (self.message, self.hint)


class StateWarning(UserWarning):
    """A state that was saved looks like an old copy, or replicas of it differ. The tag is whole; its
    metadata keeps the text."""


def _kind(name, code, number, what):
    return type(name, (Error,), {"code": code, "number": number, "__doc__": what,
                                 "__module__": __name__})


UsageError = _kind("UsageError", "usage", 2, "The request itself is wrong; change it.")
PartialError = _kind("PartialError", "partial", 3, "Done in part; what is left is listed.")
AuthError = _kind("AuthError", "auth", 4, "A remote refused the credentials.")
NoStoreError = _kind("NoStoreError", "no-store", 10, "There is no store in that folder.")
BusyError = _kind("BusyError", "busy", 11, "Another process holds what this needs.")
CorruptError = _kind("CorruptError", "corrupt", 12, "Stored bytes are damaged.")
NoSpaceError = _kind("NoSpaceError", "no-space", 13, "The disk is full, or a quota is.")
NewerFormatError = _kind("NewerFormatError", "newer-format", 14, "Written by a newer Cairn.")
NotFoundError = _kind("NotFoundError", "not-found", 15, "No such tag, tensor or attachment.")
ExistsError = _kind("ExistsError", "exists", 16, "The name is taken.")
UnreachableError = _kind("UnreachableError", "unreachable", 17, "A remote is down.")
ProtectedError = _kind("ProtectedError", "protected", 18, "Refused without a permission.")
CancelledError = _kind("CancelledError", "cancelled", 130, "The call was stopped.")

_KINDS = (Error, UsageError, PartialError, AuthError, NoStoreError, BusyError, CorruptError,
          NoSpaceError, NewerFormatError, NotFoundError, ExistsError, UnreachableError,
          ProtectedError, CancelledError)
_BY_NUMBER = {kind.number: kind for kind in _KINDS}
# A shell's way to say that SIGTERM stopped the program.
_BY_NUMBER[143] = CancelledError


def error_of(number, message, hint=""):
    """The exception for a status of the library or the program."""
    return _BY_NUMBER.get(number, Error)(message, hint)
