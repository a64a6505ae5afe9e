#!/usr/bin/env python3
"""Holds the tree to its rules: layers, sizes, banned calls, tests, names, pages, format.

usage: tidy.py [--root FOLDER]

Prints 'file:line: rule: what' for each violation. Exit status: 0 none, 1 some.
The rules and their tables of allowed places lie one group a file in tidy_*.py.
"""

import argparse
import pathlib
import sys

import tidy_calls
import tidy_format
import tidy_layers
import tidy_places
import tidy_sizes
import tidy_tests
from tidy_tree import Tree

RULES = (tidy_layers.check, tidy_sizes.check, tidy_calls.check, tidy_tests.check,
         tidy_places.check)


def main():
    parser = argparse.ArgumentParser(description="Holds the tree to its rules.")
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parents[2],
                        help="the tree to look at (default: this one)")
    tree = Tree(parser.parse_args().root)
    findings = [finding for rule in RULES for finding in rule(tree)]
    program, why_not = tidy_format.find_program()
    if program is None:
        print(f"format: skipped: {why_not}")
    else:
        findings += tidy_format.check(tree, program)
    for finding in sorted(findings):
        print(finding)
    print(f"tidy: {len(tree.paths)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
