"""Turns cli/completion/cairn.* into a C++ source. usage: completion_scripts.py OUT.cc SCRIPT..."""

import pathlib
import sys

from help_pages import literal


def main():
    target, *scripts = map(pathlib.Path, sys.argv[1:])
    rows = ",\n".join(f'    {{"{script.suffix[1:]}",\n     {literal(script.read_text())}}}'
                      for script in scripts)
    target.write_text('#include "cli/completion_scripts.h"\n\nnamespace cairn {\n\n'
                      "std::span<const CompletionScript> completion_scripts() {\n"
                      f"  static const CompletionScript kScripts[] = {{\n{rows},\n  }};\n"
                      "  return kScripts;\n}\n\n}  // namespace cairn\n", encoding="ascii")


if __name__ == "__main__":
    main()
