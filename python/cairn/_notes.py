"""What is said once: arguments of other systems' calls that mean nothing here, and what the library
notes of a call that went well."""

import logging

_told = set()


def tell_once(call, **arguments):
    """arguments: name -> (what was given, what it is by default)."""
    for name, (given, default) in arguments.items():
        if given != default and (call, name) not in _told:
            _told.add((call, name))
            logging.getLogger("cairn").warning(
                "%s: %s=%r means nothing to Cairn (docs/MIGRATION.md)", call, name, given)


def log_once(texts):
    """Notes of a result: as warnings of the logger, each text once in a process."""
    for text in texts:
        if text not in _told:
            _told.add(text)
            logging.getLogger("cairn").warning("%s", text)
