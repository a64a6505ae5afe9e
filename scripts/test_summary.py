"""Prints what a meson test run skipped and why, and the counts as the last line.

Exit status 1 when a test failed or none ran.
"""

import json
import os
import re
import sys


def skip_reasons(entry: dict) -> list[str]:
    """Reasons of a skipped program, or of the skipped cases inside a GoogleTest program."""
    output = entry.get("stdout") or ""
    cases = re.findall(r"\[  SKIPPED \] (\S+) \(", output)
    reasons = re.findall(r"Skipped\n(.+)", output)
    if cases:
        reasons += ["no reason given"] * (len(cases) - len(reasons))
        return [f"{case}: {reason}" for case, reason in zip(cases, reasons)]
    if entry["result"] == "SKIP":
        lines = [line for line in output.splitlines() if line.strip()]
        return [lines[-1] if lines else "no reason given"]
    return []


def main(path: str) -> int:
    if not os.path.exists(path):
        print("\nno tests ran\n\n0 passed, 0 failed, 0 skipped")
        return 1
    with open(path, encoding="utf-8") as file:
        entries = [json.loads(line) for line in file]
    skipped = [(entry["name"], reason) for entry in entries for reason in skip_reasons(entry)]
    if skipped:
        print("\nSkipped:")
        for name, reason in skipped:
            print(f"  {name.split(' / ')[-1]}: {reason}")
    passed = sum(entry["result"] in ("OK", "EXPECTEDFAIL") for entry in entries)
    skips = sum(entry["result"] == "SKIP" for entry in entries)
    failed = len(entries) - passed - skips
    print(f"\n{passed} passed, {failed} failed, {skips} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
