"""A module's classes and functions as entries of the reference."""

import ast
import builtins
import inspect

from api_docstring import markdown
from api_entry import Entry
from api_signature import arguments, names_of, wrapped


class Members:
    """lacking: gets a line for each public name without a docstring."""

    def __init__(self, module, lacking):
        self._module, self._lacking = module, lacking

    def entry(self, name):
        """Of a class or function that the module shows, wherever it is defined."""
        found = self._module.find(name)
        if found is None or not hasattr(found[1], "decorator_list"):
            raise LookupError(f"{self._module.path}: '{name}' is no class and no function")
        source, node = found
        full = f"{self._module.name}.{name}"
        if isinstance(node, ast.ClassDef):
            return self._class(source, node, full, name)
        return self._function(source, node, full, name)

    def asked_for(self, name):
        """Names of a class's methods without docstrings, which another library asks for."""
        source, node = self._module.find(name)
        bases = _with_bases(source, node) if isinstance(node, ast.ClassDef) else ()
        return _bare(_methods_of(bases)) if _foreign(bases) else []

    def described(self, source, node, name, names=(), otherwise=""):
        """A docstring as Markdown; `otherwise` stands for one that is not there."""
        text = ast.get_docstring(node, clean=False)
        if not text and not otherwise:
            line = getattr(node, "lineno", 1)
            self._lacking.append(f"{source.path}:{line}: '{name}' has no docstring")
        return markdown(_dedented(node, text), names) if text else otherwise

    def _function(self, source, node, full, label):
        code = "".join(f"@{ast.unparse(each)}\n" for each in node.decorator_list)
        code += label if _is_property(node) else wrapped(label, arguments(source, node))
        text = self.described(source, node, full, names_of(node.args))
        return Entry(full, node.name, code, "python", text)

    def _class(self, source, node, full, label):
        bases, members = _with_bases(source, node), []
        asked = _foreign(bases)
        methods = _methods_of(bases)
        for own, method in methods:
            if ast.get_docstring(method) or not asked or _is_property(method):
                members.append(self._function(own, method, f"{full}.{method.name}",
                                              f"{label}.{method.name}"))
        inner = [self._class(source, each, f"{full}.{each.name}", f"{label}.{each.name}")
                 for each in node.body if _is_public(each, ast.ClassDef)]
        bare = _bare(methods)
        text = [self.described(source, node, full, _names_of_class(node), _fields_told(node)),
                _fields_told(node) if ast.get_docstring(node) else "",
                _interface(asked, bare) if asked and bare else ""]
        return Entry(full, node.name, _declared(source, node, label), "python",
                     "\n\n".join(part for part in text if part), members + inner)


def _dedented(node, text):
    """Unlike cleandoc(), which takes examples for text where they are all that follows."""
    margin = node.body[0].col_offset
    first, *rest = text.strip().split("\n")
    return "\n".join([first, *(line[margin:] for line in rest)])


def _with_bases(source, node):
    """(module, class) of a class and those of the package that it is made of."""
    found = [(source, node)]
    for base in node.bases:
        place = source.find(base.id) if isinstance(base, ast.Name) else None
        if place is not None:
            found += _with_bases(*place)
    return found


def _foreign(classes):
    """The names of what they are made of that is of other libraries."""
    return [source.full_name(ast.unparse(base)) for source, node in classes for base in node.bases
            if not (isinstance(base, ast.Name)
                    and (source.find(base.id) or hasattr(builtins, base.id)))]


def _methods_of(classes):
    seen = {}
    for source, node in classes:
        for each in node.body:
            if _is_public(each, ast.FunctionDef):
                seen.setdefault(each.name, (source, each))
    return list(seen.values())


def _bare(methods):
    """Names of those that another library documents."""
    return [method.name for _, method in methods
            if not ast.get_docstring(method) and not _is_property(method)]


def _is_public(node, kind):
    return isinstance(node, kind) and not node.name.startswith("_")


def _is_property(node):
    return any(ast.unparse(each) == "property" for each in node.decorator_list)


def _declared(source, node, label):
    """A class, how it is made, and what it has that is no method."""
    begin = next((each for each in node.body if getattr(each, "name", "") == "__init__"), None)
    bases = [source.full_name(ast.unparse(base)) for base in node.bases]
    made = arguments(source, begin) if begin else bases
    lines = [wrapped(f"class {label}", made) if made else f"class {label}"]
    fields = [ast.unparse(each).replace("'", '"') for each, _, _ in _fields(node)]
    return "\n".join(lines + [f"    {each}" for each in fields])


def _fields(node):
    """(assignment, name, docstring) in a class."""
    for each, after in zip(node.body, [*node.body[1:], None]):
        targets = [each.target] if isinstance(each, ast.AnnAssign) else getattr(each, "targets", ())
        names = [name for target in targets for name in ast.unparse(target).strip("()").split(", ")]
        if names and not names[0].startswith("_"):
            told = after.value.value if _is_text(after) else ""
            yield each, names, told


def _is_text(node):
    return (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str))


def _fields_told(node):
    told = [f"{', '.join(names)}: {inspect.cleandoc(text)}"
            for _, names, text in _fields(node) if text]
    return markdown("\n".join(told), _names_of_class(node)) if told else ""


def _interface(asked, names):
    return (f"What {' and '.join(f'`{each}`' for each in asked)} asks for: "
            + ", ".join(f"`{name}`" for name in names) + ".")


def _names_of_class(node):
    """Parameters, fields, and what methods set."""
    names = {name for _, several, _ in _fields(node) for name in several}
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store):
            names.add(each.attr)
        elif isinstance(each, ast.FunctionDef) and each.name == "__init__":
            names |= names_of(each.args)
    return names
