"""The public names of a Python package, read without importing it."""

import ast
import functools
import pathlib

from api_entry import Section
from api_members import Members


class Module:
    """One file. name: as it is imported."""

    def __init__(self, package, name, path):
        self.package, self.name, self.path = package, name, path
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self._is_package = path.name == "__init__.py"

    def find(self, name):
        """(module, node) where it is defined; None for what is of other packages."""
        for node in self.tree.body:
            if getattr(node, "name", None) == name or name in _assigned(node):
                return self, node
        for node, alias in self._imports():
            if (alias.asname or alias.name) == name and node.level:
                source = self.package.module(self._source_of(node))
                return source and source.find(alias.name)
        return None

    def full_name(self, name):
        """Of a dotted name, as it would be without the abbreviations of imports."""
        first, dot, rest = name.partition(".")
        for node in self.tree.body:
            for alias in getattr(node, "names", ()):
                if (alias.asname or alias.name) == first and not getattr(node, "level", 0):
                    source = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                    return f"{source}{alias.name}{dot}{rest}"
        return name.lstrip("_")

    def public(self):
        """Names, of __all__ if there is one, else what is defined here."""
        for node in self.tree.body:
            if "__all__" in _assigned(node):
                return list(ast.literal_eval(node.value))
        return [node.name for node in self.tree.body
                if isinstance(node, (ast.ClassDef, ast.FunctionDef))
                and not node.name.startswith("_")]

    def sources(self):
        """The modules that its public names come from."""
        return {found[0].name for name in self.public() if (found := self.find(name))}

    def _imports(self):
        return [(node, alias) for node in self.tree.body if isinstance(node, ast.ImportFrom)
                for alias in node.names]

    def _source_of(self, node):
        parts = self.name.split(".")
        above = parts[:len(parts) - node.level + (1 if self._is_package else 0)]
        return ".".join([*above, *([node.module] if node.module else [])])


class Package:
    """The modules in a folder, each by its name."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    @functools.lru_cache(maxsize=None)
    def module(self, name):
        """None where there is none of that name."""
        stem = self.folder.parent.joinpath(*name.split("."))
        for path in (stem / "__init__.py", stem.with_suffix(".py")):
            if path.is_file():
                return Module(self, name, path)
        return None

    def public(self):
        """Modules without an underscore, but for those whose names are those of another one."""
        names = []
        for path in sorted(self.folder.rglob("*.py")):
            parts = path.relative_to(self.folder.parent).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            if not any(part.startswith("_") for part in parts):
                names.append(".".join(parts))
        modules = [self.module(name) for name in sorted(names, key=lambda each: each.split("."))]
        elsewhere = set().union(*(module.sources() - {module.name} for module in modules))
        return [module for module in modules if module.name not in elsewhere]


def sections(folder, lacking):
    """Of all public modules; `lacking` gets a line for each public name without a docstring."""
    made = []
    for module in Package(folder).public():
        members = Members(module, lacking)
        made.append(Section(module.name, members.described(module, module.tree, module.name),
                            [members.entry(name) for name in module.public()]))
    return made


def interfaces(folder):
    """(module, class, names): methods without docstrings, which another library asks for."""
    return [(module.name, name, asked) for module in Package(folder).public()
            for name in module.public() if (asked := Members(module, []).asked_for(name))]


def _assigned(node):
    targets = node.targets if isinstance(node, ast.Assign) else ()
    return [target.id for target in targets if isinstance(target, ast.Name)]
