"""What is made of the firmware for a device means what was written, where names have more than one meaning, too."""

import sys
import types

import pytest

from ansim.firmware_source import for_device

LEVELS = """from micropython import const
LOW = const(4)
HIGH = const(7)
BELOW = const(-3)
"""
OTHERS = """from micropython import const
LOW = const(40)
class Base:
    pass
"""
BASE = """class Base:
    _one = _two = _three = "a"
    def base(self):
        return self._one, self._two, self._three
"""


def run(sources: dict[str, bytes]) -> None:
    """Run the modules, each of which may import those before it."""
    before = dict(sys.modules)
    try:
        for path, text in sources.items():
            name = path.removesuffix(".py")
            module = sys.modules[name] = types.ModuleType(name)
            exec(compile(text, path, "exec"), module.__dict__)
    finally:
        sys.modules.clear()
        sys.modules.update(before)


@pytest.mark.parametrize(
    ("user", "after"),
    [
        pytest.param("from levels import BELOW\nprint(BELOW ** 2, 1 - BELOW, -BELOW)\n", "", id="it is negative"),
        pytest.param(
            "def one():\n    from levels import LOW\n    return LOW\n"
            "def other():\n    from others import LOW\n    return LOW\n"
            "print(one(), other())\n",
            "",
            id="two modules have one of that name",
        ),
        pytest.param(
            "LOW = 'own'\ndef one():\n    from levels import LOW\n    return LOW\ndef own():\n    return LOW\n"
            "print(one(), own())\n",
            "",
            id="its user has something else of that name",
        ),
        pytest.param(
            "from levels import LOW\nclass Reader:\n    LOW = 5\n    TWICE = 2 * LOW\nprint(Reader.TWICE, LOW)\n",
            "",
            id="a class has another one",
        ),
        pytest.param(
            "from levels import LOW\nprint(list(map(lambda LOW: LOW + 1, [1])), LOW)\n", "", id="it is a parameter, too"
        ),
        pytest.param("from levels import LOW\nprint(LOW)\n", "LOW = 9\n", id="it is set again"),
        pytest.param(
            "from levels import LOW\nprint(LOW)\n", "if HIGH > 1:\n    LOW = 9\n", id="it is set on a condition"
        ),
        pytest.param(
            "import levels\nlevels.change()\nfrom levels import LOW\nprint(LOW)\n",
            "def change():\n    global LOW\n    LOW = 9\n",
            id="a function sets it",
        ),
        pytest.param(
            "def outer(count):\n    def more():\n        nonlocal count\n        count += 1\n        return count\n"
            "    return more\nprint(outer(4)())\n",
            "",
            id="a function within changes a parameter",
        ),
        pytest.param(
            "def read(levels):\n    first = levels\n    import levels\n    return first, levels.HIGH\nprint(read(1))\n",
            "",
            id="a module has a parameter's name",
        ),
        pytest.param(
            "def add(left, right):\n    return left - right\nprint(add(**{'right': 1, 'left': 5}))\n",
            "",
            id="parameters are passed by names that are text",
        ),
        pytest.param(
            "from levels import Base as Root\nclass Heir(Root):\n    def both(self):\n"
            "        self._mine = self._too = 'b'\n"
            "        return self.base(), self._mine\nprint(Heir().both(), Heir().base())\n",
            BASE,
            id="a class inherits from one under another name",
        ),
        pytest.param(
            "from levels import Base\nclass Heir(Base):\n    def both(self):\n        self._mine = self._too = 'b'\n"
            "        return self.base()\nclass Other:\n    pass\nprint(Heir().both())\n",
            BASE,
            id="another file has a class of the same name",
        ),
        pytest.param(
            "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    import typing\nelse:\n    typing = 'none'\nprint(typing)\n",
            "",
            id="there is something else when nobody checks types",
        ),
    ],
)
def test_a_program_prints_on_a_device_what_it_printed_before(
    user: str, after: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = {
        "levels.py": (LEVELS + after).encode(),
        "others.py": OTHERS.encode(),
        "user.py": user.encode(),
    }
    run(sources)
    before = capsys.readouterr().out
    run(for_device(sources))
    assert capsys.readouterr().out == before != ""
