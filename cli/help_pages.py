"""Turns docs/cli/*.md into a C++ source with the pages as a terminal shows them.

usage: help_pages.py OUT.cc PAGE.md...

A page begins with `# cairn NAME: SUMMARY` (`# cairn: ...` is the page of what commands share).
Headings lose their marks, code fences become indented text, list dashes stay.
"""

import pathlib
import re
import sys
import textwrap

COLUMNS = 80
# Compilers need not take longer string literals.
LITERAL_BYTES = 1000


def render(markdown):
    """The text of a page below its title line."""
    lines = []
    in_code = False
    for line in markdown.split("\n"):
        if line.startswith("```"):
            in_code = not in_code
        elif in_code:
            lines.append(("    " + line).rstrip())
        elif line.startswith("## "):
            lines.append(line[3:] + ":")
        elif line.startswith("- "):
            lines += textwrap.wrap(plain(line[2:]), COLUMNS - 4, initial_indent="    ",
                                   subsequent_indent="        ", break_on_hyphens=False,
                                   break_long_words=False)
        elif line and lines and lines[-1] and not lines[-1].startswith(" "):
            lines[-1] += " " + plain(line)
        else:
            lines.append(plain(line))
    wrapped = []
    for line in lines:
        long = len(line) > COLUMNS and not line.startswith(" ")
        wrapped += textwrap.wrap(line, COLUMNS, break_on_hyphens=False,
                                 break_long_words=False) if long else [line]
    return "\n".join(wrapped).strip("\n") + "\n"


def plain(line):
    """Without the backticks, which only help a Markdown viewer."""
    return re.sub(r"`([^`]*)`", r"\1", line)


def literal(text):
    """C++ string literals for the text, in ASCII."""
    data = text.encode()
    parts = []
    for start in range(0, len(data), LITERAL_BYTES):
        quoted = ""
        for byte in data[start:start + LITERAL_BYTES]:
            char = chr(byte)
            if char == "\n":
                quoted += "\\n"
            elif char in '"\\?':
                quoted += "\\" + char
            elif 32 <= byte < 127:
                quoted += char
            else:
                quoted += f"\\{byte:03o}"
        parts.append(f'"{quoted}"')
    return "\n     ".join(parts) or '""'


def main():
    target, *sources = sys.argv[1:]
    pages = []
    for source in sources:
        title, _, body = pathlib.Path(source).read_text(encoding="utf-8").partition("\n")
        match = re.fullmatch(r"# cairn ?(\w*): (.+)", title)
        stem = pathlib.Path(source).stem
        if not match or (match[1] or "cairn") != stem:
            sys.exit(f"{source}: the first line must be '# cairn {stem}: SUMMARY'")
        text = render(body)
        if stem != "cairn":
            text = f"cairn {stem}: {match[2]}\n\n{text}"
        pages.append((stem, match[2], text))
    rows = ",\n".join(f"    {{{literal(name)}, {literal(summary)},\n     {literal(text)}}}"
                      for name, summary, text in sorted(pages))
    pathlib.Path(target).write_text(
        '#include "cli/help.h"\n\nnamespace cairn {\n\n'
        "std::span<const HelpPage> help_pages() {\n"
        f"  static const HelpPage kPages[] = {{\n{rows},\n  }};\n"
        "  return kPages;\n}\n\n}  // namespace cairn\n", encoding="ascii")


if __name__ == "__main__":
    main()
