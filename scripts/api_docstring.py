"""Docstrings and comments as Markdown.

A paragraph stays one, what is indented is code, and a line that begins with the name of a parameter
and a colon, or with Errors:, Threads:, Memory: or Returns, becomes an item of a list.
"""

import re

from api_entry import fence

_WORDS = re.compile(r"(Errors|Threads|Memory)(?:,? [\w' ]+)?: |Returns ")
_NAMES = re.compile(r"(?P<names>\w+(?: \([^()]*\))?(?:, \w+(?: \([^()]*\))?)*): ")
_KEPT = re.compile(r"(`[^`]*`|(?<!\S)\*\w+\*)")


def markdown(text, names=(), *, indent=4, language="python"):
    """names: the parameters. indent: spaces before code."""
    blocks, code = [], []  # of blocks: [mark, text, whether more may be added]
    for line in [*text.split("\n"), ""]:
        if line.startswith(" " * indent) or (code and not line):
            code.append(line[indent:])
            continue
        if code:
            blocks.append(["", fence("\n".join(code).rstrip("\n"), language), False])
            code = []
        _add(blocks, line, names)
    if code:
        blocks.append(["", fence("\n".join(code).rstrip("\n"), language), False])
    return _joined(blocks)


def _add(blocks, line, names):
    mark = _mark_of(line, names, words=bool(blocks))
    if not line:
        if blocks:
            blocks[-1][2] = False
    elif mark:
        blocks.append([f"- **{mark.rstrip(': ')}**{':' if ':' in mark else ''}",
                       escape(line[len(mark):]), True])
    elif blocks and blocks[-1][2]:
        blocks[-1][1] += " " + escape(line)
    else:
        blocks.append(["", escape(line), True])


def _mark_of(line, names, words):
    """What begins an item; "" where the line goes on with what was before. words: not only names."""
    word = _WORDS.match(line)
    if word and words:
        return word[0]
    found = _NAMES.match(line)
    told = found and re.sub(r" \([^()]*\)", "", found["names"]).split(", ")
    return found[0] if told and all(name in names for name in told) else ""


def _joined(blocks):
    """Items of one list stand together."""
    text, before = "", None
    for mark, words, _ in blocks:
        gap = "\n" if mark and before else "\n\n"
        text += (gap if text else "") + f"{mark} {words}".strip()
        before = mark
    return text


def escape(line):
    """Text of which Markdown makes nothing else; `code` and *emphasis* are left alone. Pages of
    docs/, where the text will stand, are links."""
    parts = _KEPT.split(line)
    made = "".join(part if number % 2 else re.sub(r"([*<\[\]|]|\b_+(?=\w)|(?<=\w)_+\b)",
                                                  _escaped, part)
                   for number, part in enumerate(parts))
    return re.sub(r"\bdocs/([\w/-]+\.md)\b", r"[\1](\1)", made)


def _escaped(match):
    return "".join("\\" + char for char in match[0])
