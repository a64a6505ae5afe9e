"""Turns docs/cli/*.md into man pages.

usage: man_pages.py FOLDER VERSION PAGE.md...

docs/cli/cairn.md becomes cairn.1, docs/cli/import.md cairn-import.1. The subset of Markdown is that
of help_pages.py: a title, sections, lists, code fences, backticks.
"""

import pathlib
import re
import sys


def escape(text):
    """Text as roff shows it unchanged."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


def inline(text):
    """A line of prose, what stands in backticks in bold."""
    parts = re.split(r"`([^`]*)`", text)
    shown = "".join(f"\\fB{escape(part)}\\fR" if number % 2 else escape(part)
                    for number, part in enumerate(parts))
    return re.sub(r"^([.'])", r"\\&\1", shown)


def render(markdown):
    """The roff of a page below its title line."""
    lines, in_code, starts_paragraph = [], False, True
    for line in markdown.split("\n"):
        if line.startswith("```"):
            in_code = not in_code
            if in_code and lines and not lines[-1].startswith(".SH"):
                lines.append(".PP")
            lines += [".RS 4", ".nf"] if in_code else [".fi", ".RE"]
            starts_paragraph = True
        elif in_code:
            lines.append(escape(line))
        elif line.startswith("## "):
            lines.append(f'.SH "{escape(line[3:].upper())}"')
            starts_paragraph = False
        elif line.startswith("- "):
            lines += [".IP \\(bu 3", inline(line[2:])]
            starts_paragraph = False
        elif not line:
            starts_paragraph = bool(lines) and not lines[-1].startswith(".SH")
        else:
            if starts_paragraph:
                lines.append(".PP")
            lines.append(inline(line))
            starts_paragraph = False
    return "\n".join(lines) + "\n"


def synopsis_first(body):
    """The first code fence is the synopsis."""
    match = re.match(r"\s*```\n(.*?)```\n?", body, re.S)
    if not match:
        return "", body
    lines = [".SH SYNOPSIS", ".nf", *map(escape, match[1].rstrip("\n").split("\n")), ".fi"]
    return "\n".join(lines) + "\n", body[match.end():]


def page(name, summary, body, version):
    title = name.upper().replace("-", "\\-")
    synopsis, rest = synopsis_first(body)
    if not rest.lstrip().startswith("## "):
        synopsis += ".SH DESCRIPTION\n"
        rest = rest.lstrip("\n")
    text = render(rest)
    if synopsis.endswith(".SH DESCRIPTION\n"):
        text = text.removeprefix(".PP\n")
    return (f'.TH "{title}" "1" "" "cairn {version}" "Cairn"\n.SH NAME\n'
            f"{escape(name)} \\- {escape(summary)}\n{synopsis}{text}"
            + (".SH SEE ALSO\n.BR cairn (1)\n" if name != "cairn" else ""))


def main():
    folder, version, *sources = sys.argv[1:]
    for source in map(pathlib.Path, sources):
        title, _, body = source.read_text(encoding="utf-8").partition("\n")
        summary = re.fullmatch(r"# cairn ?\w*: (.+)", title)[1]
        name = "cairn" if source.stem == "cairn" else f"cairn-{source.stem}"
        target = pathlib.Path(folder) / f"{name}.1"
        target.write_text(page(name, summary, body, version), encoding="utf-8")


if __name__ == "__main__":
    main()
