"""What a planner keeps in Metadata.planner_data, as JSON."""

from ..errors import UsageError


def encoded(data):
    """JSON from which decoded() makes the same: tuples, and keys that are integers, included.
    Errors: UsageError for what JSON does not hold."""
    if data is None or type(data) in (bool, int, float, str):
        return data
    if type(data) in (list, tuple):
        return {type(data).__name__: [encoded(each) for each in data]}
    if isinstance(data, dict):
        return {"dict": [[encoded(key), encoded(value)] for key, value in data.items()]}
    raise UsageError(f"the planner's data holds a {type(data).__name__}, which JSON does not",
                     "a tag keeps dicts, lists, tuples, text, numbers and None of it")


def decoded(data):
    if not isinstance(data, dict):
        return data
    (kind, parts), = data.items()
    if kind == "dict":
        return {decoded(key): decoded(value) for key, value in parts}
    made = [decoded(each) for each in parts]
    return tuple(made) if kind == "tuple" else made
