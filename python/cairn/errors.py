"""What calls raise: one class for each code of the command line's contract (docs/cli/cairn.md)."""


class Error(Exception):
    """A call that failed. `str(error)` says what and what to do next.

    code: the contract's word, "not-found" and the like.
    number: its exit status.
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


class UsageError(Error):
    """The request itself is wrong; change it."""

    code, number = "usage", 2


class PartialError(Error):
    """Done in part; what is left is listed."""

    code, number = "partial", 3


class AuthError(Error):
    """A remote refused the credentials."""

    code, number = "auth", 4


class NoStoreError(Error):
    """There is no store in that folder."""

    code, number = "no-store", 10


class BusyError(Error):
    """Another process holds what this needs."""

    code, number = "busy", 11


class CorruptError(Error):
    """Stored bytes are damaged."""

    code, number = "corrupt", 12


class NoSpaceError(Error):
    """The disk is full, or a quota is."""

    code, number = "no-space", 13


class NewerFormatError(Error):
    """Written by a newer Cairn."""

    code, number = "newer-format", 14


class NotFoundError(Error):
    """No such tag, tensor or attachment."""

    code, number = "not-found", 15


class ExistsError(Error):
    """The name is taken."""

    code, number = "exists", 16


class UnreachableError(Error):
    """Ranks of the job did not come in time, or its key-value store is gone; or a remote is down."""

    code, number = "unreachable", 17


class ProtectedError(Error):
    """Refused without a permission."""

    code, number = "protected", 18


class CancelledError(Error):
    """The call was stopped."""

    code, number = "cancelled", 130


_KINDS = (Error, UsageError, PartialError, AuthError, NoStoreError, BusyError, CorruptError,
          NoSpaceError, NewerFormatError, NotFoundError, ExistsError, UnreachableError,
          ProtectedError, CancelledError)
_BY_NUMBER = {kind.number: kind for kind in _KINDS}
# A shell's way to say that SIGTERM stopped the program.
_BY_NUMBER[143] = CancelledError


def error_of(number, message, hint=""):
    """The exception for a status of the library or the program."""
    return _BY_NUMBER.get(number, Error)(message, hint)
