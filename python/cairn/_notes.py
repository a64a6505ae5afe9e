"""Arguments of other systems' calls that mean nothing here: accepted, and said once."""

import logging

_told = set()


def tell_once(call, **arguments):
    """arguments: name -> (what was given, what it is by default)."""
    for name, (given, default) in arguments.items():
        if given != default and (call, name) not in _told:
            _told.add((call, name))
            logging.getLogger("cairn").warning(
                "%s: %s=%r means nothing to Cairn (docs/MIGRATION.md)", call, name, given)
