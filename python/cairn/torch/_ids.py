"""What `checkpoint_id` may be: a tag's name, or cairn:///folder/of/the/store#tag."""

import os

from ..errors import UsageError

SCHEME = "cairn://"


def is_url(checkpoint_id):
    return os.fspath(checkpoint_id).startswith(SCHEME)


def split(checkpoint_id):
    """(folder of the store or None, tag). Errors: UsageError when a part is missing."""
    text = os.fspath(checkpoint_id)
    if not is_url(text):
        return None, text
    folder, mark, tag = text[len(SCHEME):].partition("#")
    if not folder.startswith("/") or not mark or not tag:
        raise UsageError(f"'{text}' names no tag of a store",
                         "write cairn:///folder/of/the/store#run7/step-100")
    return folder, tag
