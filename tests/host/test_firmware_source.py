"""Firmware as it is compiled: shorter names, the same behaviour."""

import ast
import re
import sys
import types

import pytest

from ansim.firmware_source import for_device
from ansim.home import project_root

BASE = b'''"""A base."""
class Base:
    """Counts."""
    __slots__ = ("_count", "_step")
    def __init__(self, _step=1):
        self._count = 0
        self._step = _step
    def count(self):
        self._count += self._step
        return self._count
'''
HEIR = b"""from base import Base as _Base
_created = 0
class Heir(_Base):
    def __init__(self):
        global _created
        super().__init__(_step=3)
        _created += 1
        self._label = "_count"
    def text(self):
        return f"{self._label} {self._count!r} {_created}"
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
"""
USER = b"""from heir import Heir
def peek(heir):
    _seen = heir._count
    return _seen
heir = Heir()
print(heir.count(), heir.count(), heir.text(), peek(heir))
"""


def load(sources: dict[str, bytes]) -> dict[str, types.ModuleType]:
    """Run the modules, each of which may import those before it."""
    modules: dict[str, types.ModuleType] = {}
    before = dict(sys.modules)
    try:
        for path, text in sources.items():
            name = path.removesuffix(".py")
            modules[name] = sys.modules[name] = types.ModuleType(name)
            exec(compile(text, path, "exec"), modules[name].__dict__)
    finally:
        sys.modules.clear()
        sys.modules.update(before)
    return modules


def identifiers(text: bytes) -> set[str]:
    return {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}


def test_a_program_does_the_same_with_its_private_names_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    load(for_device({"base.py": BASE, "heir.py": HEIR, "user.py": USER}))
    assert capsys.readouterr().out == "3 6 _count 6 1 6\n"


def test_names_that_can_not_meet_are_the_same_and_few() -> None:
    sources = {f"m{n}.py": f"class C{n}:\n    def f(self):\n        self._name_{n} = {n}\n".encode() for n in range(50)}
    short = set().union(*(identifiers(text) for text in for_device(sources).values()))
    assert len(short) == 1


def test_what_only_readers_and_type_checkers_need_stays_behind() -> None:
    text = for_device({"base.py": BASE, "heir.py": HEIR})
    assert b"__slots__" not in text["base.py"]
    assert b"TYPE_CHECKING" not in text["heir.py"] and b"Callable" not in text["heir.py"]


MAKER = b"""def make_it(): return [1]
def append(x): x.append(2)
def duty(): pass
"""
MAKES = b"""from maker import make_it, append, duty
found = make_it()
append(found)
"""


def test_names_that_modules_have_for_each_other_are_short_and_no_others() -> None:
    text = for_device({"maker.py": MAKER, "user.py": MAKES})
    assert load(text)["user"].__dict__.keys() >= {"append", "duty"}
    assert b"make_it" not in text["user.py"]
    assert b"x.append" not in text["maker.py"] and b".append" in text["maker.py"]


THING = b"""import os
class Thing:
    def __init__(self): self.size, self.path, self.by_text, self.entries = 1, "", 2, []
    def grow(self): self.size += 1
    @property
    def double(self): return 2 * self.size
"""
THINGS = b"""import sys
from thing import Thing
one = Thing()
one.grow()
one.entries.append(one.double)
one.path = sys.path
print(one.size, one.entries, getattr(one, "by_text"))
"""


def test_members_of_classes_are_short_unless_something_else_has_the_name_or_finds_them_by_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = for_device({"thing.py": THING, "user.py": THINGS})
    load(text)
    assert capsys.readouterr().out == "2 [4] 2\n"
    assert not {"grow", "double", "size"} & (identifiers(text["user.py"]) | identifiers(text["thing.py"]))
    # Of an imported module, asked for as text, or used by programs at a device's REPL.
    assert {"path", "entries"} <= identifiers(text["user.py"]) and b"self.by_text" in text["thing.py"]


TAKES = b"""_high = 100
def add(low, high, step=1):
    def more(low, by=high):
        return low + by + step
    return more(low) + sum(map(lambda high: high * low, [high])) + _high
def named(low, high):
    return low - high
print(add(1, 2), named(high=5, low=7), add(2, 3, 4))
"""


def test_parameters_that_are_passed_by_place_are_private_names(capsys: pytest.CaptureFixture[str]) -> None:
    text = for_device({"takes.py": TAKES})["takes.py"]
    load({"takes.py": TAKES, "again.py": text})
    first, again = capsys.readouterr().out.splitlines()
    assert first == again
    assert not {"step", "by"} & {name.arg for name in ast.walk(ast.parse(text)) if isinstance(name, ast.arg)}


def test_names_of_modules_stay() -> None:
    text = for_device({"_part.py": b"def _read(): pass\n", "user.py": b"import _part\n_part._read()\n"})
    assert b"import _part" in text["user.py"] and b"_part._read()" not in text["user.py"]


LEVELS = b"""from micropython import const
LOW = const(1 << 2)
HIGH = const(LOW | 3)
TEXT = const("text")
_MOST = const(HIGH * 2)
def most(): return _MOST
"""
READER = b"""from pack.levels import HIGH, TEXT, most
from pack import levels
from micropython import const
_TWICE = const(levels.HIGH + HIGH)
class Reader:
    HIGH = HIGH
    def all(self):
        from pack.levels import LOW
        return LOW, HIGH, levels.LOW, TEXT, most(), _TWICE, self.HIGH
"""
SHADOWED = b"""from pack import levels
def read(levels):
    return levels.LOW
"""


def test_constants_of_other_modules_are_numbers_and_cost_no_import() -> None:
    text = for_device({"pack/levels.py": LEVELS, "reader.py": READER})
    assert re.fullmatch(
        rb"from pack.levels import (\w+), (\w+) "
        rb"class \w+: HIGH = 7 def \w+\(self\): return \(4, 7, 4, \1, \2\(\), 14, self.HIGH\) ",
        re.sub(rb"\s+", b" ", text["reader.py"]),
    )
    assert b"LOW" not in text["pack/levels.py"]


def test_a_constant_that_is_read_off_an_object_stays_where_it_is() -> None:
    text = for_device({"pack/levels.py": LEVELS, "shadowed.py": SHADOWED})
    assert b".LOW" in text["shadowed.py"]
    assert b"LOW = const(1 << 2)" in text["pack/levels.py"]


def firmware() -> dict[str, bytes]:
    folder = project_root() / "firmware/ansim_fw"
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.py"))}


def test_in_the_firmware_no_file_and_no_class_has_two_names_that_became_one() -> None:
    sources = firmware()
    shortened = for_device(sources)
    families = [[path] for path in sources] + [["core/device.py", "core/sleeper.py"]]
    for family in families:
        before, after = (members([texts[path] for path in family]) for texts in (sources, shortened))
        assert len(before) == len(after), family


def test_in_the_firmware_whatever_is_set_from_outside_is_known_to_the_class() -> None:
    found = [node for text in firmware().values() for node in nodes(text)]
    stored = [node for node in found if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)]
    of_self = {node.attr for node in stored if isinstance(node.value, ast.Name) and node.value.id == "self"}
    by_text = {node.value for node in found if isinstance(node, ast.Constant)}
    assert {node.attr for node in stored} - of_self - by_text == {"verify_mode"}, "a name that may meet another one"


def members(texts: list[bytes]) -> set[str]:
    found = [node for text in texts for node in nodes(text)]
    stored = {node.attr for node in found if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    bodies = [node.body for node in found if isinstance(node, ast.ClassDef)]
    return stored | {node.name for body in bodies for node in body if isinstance(node, ast.FunctionDef)}


def nodes(text: bytes) -> list[ast.AST]:
    """Return the nodes of a source that a device has."""
    return [node for statement in ast.parse(text).body if not is_for_readers(statement) for node in ast.walk(statement)]


def is_for_readers(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
