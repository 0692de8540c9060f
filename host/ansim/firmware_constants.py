"""Constants of the firmware, put where they are used.

mpy-cross does so within a module. Here it is done across modules: what another module declares as ``const()`` of an
integer needs no name on the device, no place in two tables of names, and mostly no import. A name that means something
else elsewhere in its file, or is given a second value, is left alone.
"""

import ast
import copy
from collections import defaultdict
from collections.abc import Iterator, Mapping

Trees = Mapping[str, ast.Module]
# Dotted name of a module to its constants.
Values = dict[str, dict[str, int]]


def inline(trees: Trees) -> None:
    """Change trees, path to syntax tree, so that they use numbers; what is not used any more goes."""
    values: Values = {_dotted(path): {} for path in trees}
    while _evaluate(trees, values):
        pass
    for path, tree in trees.items():
        Inliner(tree, values, _dotted(path)).visit(tree)
    used = {name for tree in trees.values() for name in _used(tree)}
    for path, tree in trees.items():
        found = values[_dotted(path)]
        tree.body = [node for node in tree.body if not ((name := _constant(node)) in found and name not in used)]
        if not any(isinstance(node, ast.Name) and node.id == "const" for node in ast.walk(tree)):
            _Imports({"const"}).visit(tree)


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _constant(node: ast.stmt) -> str:
    """Return the name that a statement gives to a constant; empty if it does not."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="const"))):
            return str(name)
    return ""


def _evaluate(trees: Trees, values: Values) -> bool:
    """Find the values of constants of which all is known that they are made of; tell whether any was new."""
    new = False
    for path, tree in trees.items():
        module = _dotted(path)
        unknown = {name: node for node in tree.body if (name := _constant(node)) and name not in values[module]}
        if not unknown:
            continue
        inliner = Inliner(tree, values, module)
        for name in unknown.keys() - _ambiguous(tree):
            node = unknown[name]
            assert isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
            value = _value(inliner.visit(copy.deepcopy(node.value.args[0])))
            if value is not None:
                values[module][name] = value
                new = True
    return new


def _value(expression: ast.expr) -> int | None:
    try:
        value = eval(compile(ast.fix_missing_locations(ast.Expression(expression)), "const", "eval"), {})
    except NameError:
        return None
    return value if type(value) is int else None


def _used(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a module still uses, of its own or of others."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)


class Inliner(ast.NodeTransformer):
    """Replaces in one module the constants that it uses."""

    def __init__(self, tree: ast.Module, values: Values, module: str) -> None:
        self._names = dict(values[module])
        self._modules: dict[str, dict[str, int]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                self._import(node, values)
        for name in [*_bound_in_functions(tree), *_ambiguous(tree)]:
            self._names.pop(name, None)
            self._modules.pop(name, None)

    def _import(self, node: ast.ImportFrom, values: Values) -> None:
        for alias in node.names:
            local, module = alias.asname or alias.name, node.module or ""
            if f"{module}.{alias.name}" in values:
                self._modules[local] = values[f"{module}.{alias.name}"]
            elif alias.name in values.get(module, {}):
                self._names[local] = values[module][alias.name]

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        left = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        _Imports(self._names.keys() | (self._modules.keys() - left)).visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load) and node.id in self._names:
            return _number(self._names[node.id])
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.attr in self._modules.get(node.value.id, {}):
            return _number(self._modules[node.value.id][node.attr])
        return self.generic_visit(node)


class _Imports(ast.NodeTransformer):
    """Takes what nobody needs any more out of imports."""

    def __init__(self, unused: set[str]) -> None:
        self._unused = unused

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        node.names = [alias for alias in node.names if (alias.asname or alias.name) not in self._unused]
        return node if node.names else None


def _number(value: int) -> ast.expr:
    return ast.Constant(value) if value >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-value))


def _bound_in_functions(tree: ast.Module) -> Iterator[str]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.Lambda):
            for node in ast.walk(function):
                if isinstance(node, ast.arg):
                    yield node.arg
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id


def _ambiguous(tree: ast.Module) -> set[str]:
    """Return the names that get more than one meaning outside functions, or by an import or ``global`` in one."""
    meanings: defaultdict[str, set[object]] = defaultdict(set)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                meanings[alias.asname or alias.name].add((node.module, alias.name))
        elif isinstance(node, ast.Global):
            for name in node.names:
                meanings[name].add(node)
    for name, place in _bound_outside_functions(tree):
        meanings[name].add(place)
    return {name for name, found in meanings.items() if len(found) > 1}


def _bound_outside_functions(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef(name=name):
                yield name, child
                continue
            case ast.ClassDef(name=name):
                yield name, child
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id=same)) if name == same:
                # A class has the constant as an attribute, too.
                continue
            case ast.Name(id=name, ctx=ast.Store()):
                yield name, child
        yield from _bound_outside_functions(child)
