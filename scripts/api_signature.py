"""How a class or function is called, in lines that fit."""

import ast

COLUMNS = 100


def wrapped(label, words):
    """A call in lines of at most COLUMNS. words: its arguments."""
    lines, begin = [f"{label}("], " " * (len(label) + 1)
    for number, each in enumerate(words):
        word = each + (", " if number + 1 < len(words) else ")")
        if number and len((lines[-1] + word).rstrip()) > COLUMNS:
            lines[-1] = lines[-1].rstrip()
            lines.append(begin)
        lines[-1] += word
    return "\n".join(lines) if words else f"{label}()"


def names_of(told):
    """Of all arguments. told: ast.arguments."""
    every = [*told.posonlyargs, *told.args, *told.kwonlyargs, told.vararg, told.kwarg]
    return {each.arg for each in every if each is not None}


def arguments(source, node):
    """As they are written, without self, and with numbers in place of the names of constants."""
    told = node.args
    is_bound = bool(told.args) and told.args[0].arg in ("self", "cls")
    for number, default in enumerate(told.defaults):
        told.defaults[number] = _constant(source, default)
    told.kw_defaults[:] = [default and _constant(source, default) for default in told.kw_defaults]
    if is_bound:
        told = ast.arguments(told.posonlyargs, told.args[1:], told.vararg, told.kwonlyargs,
                             told.kw_defaults, told.kwarg, told.defaults)
    return _split(ast.unparse(told).replace("'", '"'))


def _constant(source, default):
    found = source.find(default.id) if isinstance(default, ast.Name) else None
    value = found[1].value if found and isinstance(found[1], ast.Assign) else None
    return value if isinstance(value, ast.Constant) else default


def _split(text):
    """At the commas between arguments, not at those within one."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]
