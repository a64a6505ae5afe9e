"""What a page of reference is made of: sections of entries, and their Markdown."""

import collections
import dataclasses
import re


@dataclasses.dataclass
class Entry:
    """A public name: a class with its methods inside, a function, a struct."""

    name: str  # the heading, unlike all others of the page
    short: str  # in the table of contents
    code: str  # how it is called or declared; "" where there is no such thing
    language: str
    text: str  # Markdown
    inner: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Section:
    """A module or a header."""

    name: str
    text: str
    entries: list


def anchors(headings):
    """What viewers of Markdown call headings: {heading: anchor}, in the order of the page."""
    made, seen = {}, collections.Counter()
    for heading in headings:
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        made[heading] = plain + (f"-{seen[plain]}" if seen[plain] else "")
        seen[plain] += 1
    return made


def contents(sections):
    """A list of links to all headings but the page's own."""
    places = anchors(_headings(sections))
    lines = []
    for section in sections:
        lines.append(f"- [{section.name}](#{places[section.name]})")
        for entry in section.entries:
            inner = ", ".join(f"[{each.short}](#{places[each.name]})" for each in entry.inner)
            lines.append(f"  - [{entry.short}](#{places[entry.name]}){': ' if inner else ''}{inner}")
    return "\n".join(lines)


def _headings(sections):
    for section in sections:
        yield section.name
        for entry in section.entries:
            yield entry.name
            yield from (each.name for each in entry.inner)


def page_of(section):
    """Its Markdown, in paragraphs."""
    parts = [f"## {section.name}", section.text]
    for entry in section.entries:
        parts += _entry(entry, "###")
    return "\n\n".join(part for part in parts if part)


def _entry(entry, marks):
    parts = [f"{marks} {entry.name}", fence(entry.code, entry.language), entry.text]
    for each in entry.inner:
        parts += _entry(each, marks + "#")
    return parts


def fence(code, language):
    return f"```{language}\n{code}\n```" if code else ""
