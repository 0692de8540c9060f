"""Firmware as it is compiled for a device: without what only readers and type checkers need.

A device keeps each distinct name once in RAM, and each module names all that it uses. Names that begin with one
underscore are nobody's business but their own file's and subclasses': on the device they are a letter or two, and names
that can't meet have the same one; so are parameters (firmware_parameters.py), members of classes
(firmware_members.py) and what modules have for each other (firmware_exports.py). Constants are put where they are used
(firmware_constants.py). Docstrings, what begins ``if TYPE_CHECKING:``, and ``__slots__``, which MicroPython does not
know, stay behind. Names in strings stay as they are.
"""

import ast
import itertools
import string
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from ansim import firmware_members
from ansim.firmware_constants import inline
from ansim.firmware_exports import exported
from ansim.firmware_parameters import hide

# Where the nodes of a syntax tree have an identifier.
_NAME_FIELDS = ("id", "attr", "arg", "name", "asname")
_LETTERS = string.ascii_lowercase + string.ascii_uppercase + string.digits


def for_device(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return sources, path to text, as they are compiled, or run as they are: all that use each other.

    Raises:
        SyntaxError: one of them is no Python.
    """
    trees = {path: ast.parse(text) for path, text in sources.items()}
    for tree in trees.values():
        _Stripped().visit(tree)
    inline(trees)
    hide(trees)
    firmware_members.hide(trees)
    modules, public = {PurePosixPath(path).stem for path in sources}, exported(trees)
    private = {path: _hidden_names(tree, public) - modules for path, tree in trees.items()}
    short = _short_names(_families(trees), private)
    return {path: ast.unparse(_Shortened(short).visit(tree)).encode() + b"\n" for path, tree in trees.items()}


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the names in one node of a syntax tree."""
    for field in _NAME_FIELDS:
        name = getattr(node, field, None)
        if isinstance(name, str):
            yield name
    if isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names


def _hidden_names(tree: ast.AST, public: set[str]) -> set[str]:
    found = {name for node in ast.walk(tree) for name in _names(node)}
    private = {name for name in found if name.startswith("_") and name.strip("_") and not name.startswith("__")}
    return private | (found & public)


def _families(trees: Mapping[str, ast.Module]) -> dict[str, str]:
    """Return for each file one that stands for all whose classes inherit from one another: they share objects.

    Classes are known by their names: files with classes of the same name are joined together.
    """
    leader = {path: path for path in trees}
    home: dict[str, set[str]] = {}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                home.setdefault(node.name, set()).add(path)
    for path, tree in trees.items():
        joined = {leader[each] for base in _bases(tree) for each in home.get(base, ())}
        leader = {each: leader[path] if led in joined else led for each, led in leader.items()}
    return leader


def _bases(tree: ast.Module) -> set[str]:
    """Return the names of the classes from which a file's inherit, as they are where they come from."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    found = {name for node in classes for base in node.bases for name in _names(base)}
    imports = [alias for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    return found | {alias.name for alias in imports if alias.asname in found}


def _short_names(leader: Mapping[str, str], private: Mapping[str, set[str]]) -> dict[str, str]:
    """Give each private name a short one that no other name in its files has."""
    used_in: dict[str, set[str]] = {}
    for path, names in private.items():
        for name in names:
            used_in.setdefault(name, set()).add(leader[path])
    short: dict[str, str] = {}
    taken: dict[str, set[str]] = {family: set() for family in leader.values()}
    # Those that meet most others come first.
    for name in sorted(used_in, key=lambda name: (-len(used_in[name]), name)):
        short[name] = next(each for each in _shortest() if not any(each in taken[family] for family in used_in[name]))
        for family in used_in[name]:
            taken[family].add(short[name])
    return short


def _shortest() -> Iterator[str]:
    for length in itertools.count(1):
        for letters in itertools.product(_LETTERS, repeat=length):
            yield "_" + "".join(letters)


class _Stripped(ast.NodeTransformer):
    """Takes away what a device does not need."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if _is_type_checking(node.test) else node

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        named = node.targets[0]
        unused = _is_type_checking(named) or (isinstance(named, ast.Name) and named.id == "__slots__")
        return None if unused else self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return ast.Pass() if isinstance(node.value, ast.Constant) else self.generic_visit(node)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "TYPE_CHECKING"


class _Shortened(ast.NodeTransformer):
    def __init__(self, short: Mapping[str, str]) -> None:
        self._short = short

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for field in _NAME_FIELDS:
            name = getattr(node, field, None)
            if isinstance(name, str):
                setattr(node, field, self._short.get(name, name))
        if isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [self._short.get(name, name) for name in node.names]
        return super().generic_visit(node)
