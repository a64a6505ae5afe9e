"""Turns page.css and page.js into a C++ source. usage: page_assets.py OUT.cc page.css page.js"""

import base64
import hashlib
import pathlib
import re
import sys

# Compilers need not take longer string literals.
LITERAL_CHARS = 8000
MARK = "page"


def literals(text):
    return "\n      ".join(f'R"{MARK}({text[at:at + LITERAL_CHARS]}){MARK}"'
                           for at in range(0, len(text), LITERAL_CHARS))


def main():
    target, style, script = sys.argv[1:]
    css = pathlib.Path(style).read_text(encoding="ascii")
    css = re.sub(r"/\*.*?\*/\n?", "", css, flags=re.DOTALL)
    code = pathlib.Path(script).read_text(encoding="ascii")
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    functions = {"page_style": literals(css), "page_script": literals(code),
                 "page_script_hash": f'"sha256-{digest}"'}
    bodies = "\n\n".join(f"std::string_view {name}() {{\n  return\n      {value};\n}}"
                         for name, value in functions.items())
    pathlib.Path(target).write_text('#include "cli/report/page_assets.h"\n\nnamespace cairn {\n\n'
                                    f"{bodies}\n\n}}  // namespace cairn\n", encoding="ascii")


if __name__ == "__main__":
    main()
