"""The names that only the firmware's own objects have, made private ones, which firmware_source.py shortens.

A device keeps each distinct name in RAM, and every module names all that it uses. They are told from all other names
by how they are used: a method, or what a method gives its object, and nothing that is imported has.
"""

import ast
from collections.abc import Iterator, Mapping

Trees = Mapping[str, ast.Module]

# What programs at a device's REPL use, those of tests among them.
FROM_OUTSIDE = {
    "announce",
    "announcements",
    "busy",
    "button",
    "commands",
    "cycle",
    "device",
    "entries",
    "fault",
    "identify",
    "inputs",
    "journal",
    "leave",
    "link",
    "listens",
    "motion",
    "next_boot",
    "open_motion",
    "outbox",
    "overran",
    "poll",
    "publish",
    "quick",
    "radio",
    "radio_on",
    "reopen_motion",
    "resume",
    "run",
    "selftest",
    "sensor_fault",
    "settings",
    "sleeper",
    "state",
    "store",
    "trigger",
    "up_s",
    "use_quick",
    "wait_ms",
    "wake_on_freefall",
    "wake_on_impact",
    "wake_on_watermark",
    "wifi",
    "woke",
}
# What objects of MicroPython have, too: numbers, texts and lists, then modules, streams and the chip's parts.
OF_MICROPYTHON = {
    *("append", "clear", "copy", "count", "decode", "encode", "extend", "find", "format", "from_bytes", "get", "index"),
    *("insert", "items", "join", "keys", "lower", "partition", "pop", "remove", "replace", "reverse", "rpartition"),
    *("send", "setdefault", "sort", "split", "strip", "to_bytes", "update", "upper", "values"),
    *("active", "close", "collect", "commit", "config", "connect", "digest", "disconnect", "enable", "erase", "errno"),
    *(
        "feed",
        "flush",
        "init",
        "ioctl",
        "irq",
        "modify",
        "mount",
        "name",
        "off",
        "on",
        "open",
        "pack",
        "read",
        "readinto",
    ),
    *(
        "readline",
        "register",
        "release",
        "reset",
        "scan",
        "seek",
        "sleep",
        "sleep_ms",
        "start",
        "stat",
        "status",
        "stop",
    ),
    *("tell", "threshold", "unpack", "unregister", "value", "wake", "write"),
}


def hide(trees: Trees) -> None:
    """Change trees, path to syntax tree: a member ``state`` becomes ``_of_state``."""
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    members = {name for node in nodes for name in _members(node)}
    others = {name for tree in trees.values() for name in _others(tree)}
    free = members - others - FROM_OUTSIDE - OF_MICROPYTHON
    hidden = {name: f"_of_{name}" for name in free if name[0] != "_"}
    for node in nodes:
        if isinstance(node, ast.Attribute):
            node.attr = hidden.get(node.attr, node.attr)
        elif isinstance(node, ast.ClassDef):
            for method in (each for each in node.body if isinstance(each, ast.FunctionDef)):
                method.name = hidden.get(method.name, method.name)


def _members(node: ast.AST) -> Iterator[str]:
    """Yield the names of a class's methods, and of what a method gives its object."""
    match node:
        case ast.ClassDef(body=body):
            yield from (each.name for each in body if isinstance(each, ast.FunctionDef))
        case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
            yield name


def _others(tree: ast.Module) -> Iterator[str]:
    """Yield the names that something else has, or is found by."""
    nodes = list(ast.walk(tree))
    imported = {
        alias.asname or alias.name.partition(".")[0]
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    by_text = any(isinstance(node, ast.Name) and node.id in ("getattr", "setattr") for node in nodes)
    for node in nodes:
        match node:
            case ast.Constant(value=str(text)) if by_text:
                yield text
            case ast.Attribute(attr=name) if _root(node) in imported:
                yield name
            case ast.ClassDef(body=body):
                # In the class itself members have their names bare.
                plain = (each for each in body if not isinstance(each, ast.FunctionDef))
                yield from (name.id for each in plain for name in ast.walk(each) if isinstance(name, ast.Name))


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
