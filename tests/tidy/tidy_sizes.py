"""How long files, functions and lines may be."""

import ast
import re

from tidy_tree import Finding

FILE_LINES = 600
FUNCTION_LINES = 70
CPP_COLUMNS = 100
# Functions of formatted C++ begin in these columns: free ones, and those within a class.
FUNCTION_COLUMNS = (0, 2)


def check(tree):
    for path in tree.sources():
        count = len(tree.lines(path))
        if count > FILE_LINES:
            yield Finding(path, 1, "size", f"{count} lines, {FILE_LINES} allowed")
    for path in tree.cpp():
        for number, line in tree.lines(path):
            if len(line) > CPP_COLUMNS:
                yield Finding(path, number, "size", f"{len(line)} columns, {CPP_COLUMNS} allowed")
        yield from _too_long(path, cpp_functions(tree.code_lines(path)))
    for path in tree.python():
        yield from _python(tree, path)


def _too_long(path, functions):
    for begin, end in functions:
        count = end - begin + 1
        if count > FUNCTION_LINES:
            yield Finding(path, begin, "size",
                          f"a function of {count} lines, {FUNCTION_LINES} allowed")


def cpp_functions(code_lines):
    """(first line, last line) of the function bodies in clang-formatted code without comments.

    A body ends with a lone '}' (types end with '};') and belongs to the nearest line above that
    begins in the same column. Blocks within a function that begins further left are part of it.
    """
    functions = []
    for column in FUNCTION_COLUMNS:
        begin = None
        for number, line in code_lines:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if len(line) - len(line.lstrip()) != column:
                continue
            if line.strip() == "}" and begin is not None:
                if not any(first <= begin <= last for first, last in functions):
                    functions.append((begin, number))
                begin = None
            elif re.match(r"\s*}|\s*(namespace|extern)\b", line) or line.rstrip().endswith(";"):
                begin = None
            else:
                begin = number
    return sorted(functions)


def _python(tree, path):
    try:
        module = ast.parse(tree.text(path))
    except SyntaxError as error:
        yield Finding(path, error.lineno or 1, "size", f"Python cannot read it: {error.msg}")
        return
    yield from _too_long(path, [(node.lineno, node.end_lineno) for node in ast.walk(module)
                                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))])
