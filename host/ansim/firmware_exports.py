"""The names that the firmware's modules have for each other: functions, classes and tables of a module.

They are told from all other names by how they are used: imported, or read off a module, and nothing else.
"""

import ast
import builtins
from collections.abc import Iterator, Mapping

Trees = Mapping[str, ast.Module]

# What MicroPython calls, and what programs at a device's REPL use, those of tests among them.
FROM_OUTSIDE = {"mount", "stat"} | {
    "ButtonPin",
    "Identity",
    "Link",
    "STATE_NAMES",
    "Settings",
    "Watchdog",
    "duty",
    "to_mg",
}


def exported(trees: Trees) -> set[str]:
    """Return the names in trees, path to syntax tree, that are only ever a module's."""
    modules = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in trees}
    defined = {name for tree in trees.values() for node in tree.body for name in _defined(node)}
    others = {name for tree in trees.values() for name in _others(tree, modules)}
    return defined - others - FROM_OUTSIDE - set(dir(builtins))


def _defined(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
    return []


def _others(tree: ast.Module, modules: set[str]) -> Iterator[str]:
    """Yield the names that are something else, too: of an object, of a module that is not ours, text."""
    ours = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if f"{node.module}.{alias.name}" in modules
    }
    yield from ours
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=module, names=names) if module not in modules:
                yield from (alias.name for alias in names)
            case ast.Attribute(value=ast.Name(id=name), attr=_) if name in ours:
                pass
            case ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.ClassDef(body=body):
                yield from (name for each in body for name in _defined(each))
            case ast.Constant(value=str(text)):
                yield text
