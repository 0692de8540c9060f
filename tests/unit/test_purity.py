"""The core imports only itself, the names of MicroPython's compiler, json and array: nothing of time, sockets, pins."""

import ast
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "firmware" / "ansim_fw" / "core"
ALLOWED = ("ansim_fw.core", "micropython", "json", "array")


def imported(source: str) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append("." * node.level + (node.module or ""))
    return names


def is_pure(name: str) -> bool:
    return any(name == allowed or name.startswith(allowed + ".") for allowed in ALLOWED)


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_core_imports_only_what_is_pure(path: Path) -> None:
    # Imports for the type checker stand under TYPE_CHECKING and are never carried out.
    names = [name for name in imported(path.read_text()) if name not in ("collections.abc", "typing")]
    assert [name for name in names if not is_pure(name)] == []


def test_an_impure_import_would_be_noticed() -> None:
    assert not all(map(is_pure, imported("import time\nfrom ansim_fw.core import event")))
