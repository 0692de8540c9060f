"""Parameters of the firmware's functions, made private names where nobody passes them by name.

A device keeps the name of every parameter. As private ones, which firmware_source.py shortens, they cost no names of
their own.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence

Trees = Mapping[str, ast.Module]


def hide(trees: Trees) -> None:
    """Change trees, path to syntax tree: a parameter ``data`` becomes ``_data``."""
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    passed = {node.arg for node in nodes if isinstance(node, ast.keyword)}
    if None in passed:
        # In a call with **, names are text.
        passed |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for tree in trees.values():
        taken = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        taken |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.Lambda):
                _hide(function, passed, taken)


def _hide(function: ast.FunctionDef | ast.Lambda, passed: set[str | None], taken: set[str]) -> None:
    arguments = [node for node in ast.walk(function.args) if isinstance(node, ast.arg)]
    body = function.body if isinstance(function.body, list) else [function.body]
    names = {node.arg for node in arguments} - passed - {"self"} - set(_bound_besides(body))
    hidden = {name: f"_{name}" for name in names if name[0] != "_" and f"_{name}" not in taken}
    for node in [*arguments, *(node for part in body for node in ast.walk(part))]:
        if isinstance(node, ast.arg):
            node.arg = hidden.get(node.arg, node.arg)
        elif isinstance(node, ast.Name):
            node.id = hidden.get(node.id, node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            node.name = hidden.get(node.name, node.name)


def _bound_besides(body: Sequence[ast.AST]) -> Iterator[str]:
    """Yield the names that a body gives a meaning otherwise than by assigning to them."""
    for node in (node for part in body for node in ast.walk(part)):
        match node:
            case ast.alias(name=name, asname=other):
                yield other or name.partition(".")[0]
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Nonlocal(names=names):
                yield from names
