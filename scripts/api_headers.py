"""The public C and C++ headers: declarations with the comments above them."""

import dataclasses
import re

from api_docstring import markdown
from api_entry import Entry, Section

_NAME = re.compile(r"(?:typedef )?(?:struct|enum class|enum|class) (\w+) \{|using (\w+) ="
                   r"|typedef .*?(\w+);$|#define (\w+)|(\w+)\(")
_FRAME = re.compile(r'(namespace|extern "C")[^;]*\{$|\}  // namespace|\}$|#(?!define \w+ \S)')


@dataclasses.dataclass
class _Piece:
    """A comment, and the declarations below it up to an empty line or the next comment."""

    comment: str = ""
    lines: list = dataclasses.field(default_factory=list)
    number: int = 0  # of the first declaration's line
    is_title: bool = False


def section(path, name, language, lacking):
    """`lacking` gets a line for each declaration without a comment."""
    pieces = list(_pieces(path.read_text(encoding="utf-8").split("\n")))
    entries, inside = [], None
    for piece in pieces[1:]:
        if piece.is_title:
            title = f"{piece.comment.strip('- ')}, in {language.upper()}"
            inside = Entry(title, piece.comment.strip("- "), "", "", "")
            entries.append(inside)
        elif piece.lines:
            made = _entry(piece, language)
            (entries if inside is None else inside.inner).append(made)
            if not made.text:
                lacking.append(f"{path}:{piece.number}: '{made.name}' has no comment")
    return Section(name, markdown(pieces[0].comment, indent=2, language=language), entries)


def _pieces(lines):
    """The first one is the comment of the file."""
    piece, depth = _Piece(), 0
    for number, line in enumerate(lines, 1):
        said = _comment_of(line, piece) if depth == 0 else None
        if said is not None:
            if piece.lines:
                yield piece
                piece = _Piece()
            piece.comment += ("\n" if piece.comment else "") + said
            piece.is_title = piece.comment.startswith("---")
        elif depth == 0 and (not line or _FRAME.match(line)):
            if piece.lines or piece.comment:
                yield piece
            piece = _Piece()
        else:
            piece.number = piece.number or number
            piece.lines.append(line)
            depth += line.count("{") - line.count("}")


def _comment_of(line, piece):
    """What a line of a comment says; None for other lines."""
    if re.match(r"///?( |$)", line):
        return re.sub(r"^///? ?", "", line)
    if line.startswith("/*"):
        return line[2:].removesuffix("*/").strip()
    if line.startswith(" *") and not piece.lines:
        return line[2:].removesuffix("*/").removeprefix(" ").rstrip().removeprefix("/")
    return None


def _entry(piece, language):
    names = [found for line in piece.lines if not line.startswith(" ")
             and (match := _NAME.match(line) or _NAME.search(line)) is not None
             and (found := next(filter(None, match.groups()), ""))]
    label = ", ".join(names) if len(names) <= 3 else f"{names[0]} to {names[-1]}"
    full = f"cairn::{label}" if language == "cpp" else label
    return Entry(full, label, "\n".join(piece.lines), language,
                 markdown(piece.comment, language=language))
