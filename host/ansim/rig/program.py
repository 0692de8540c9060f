"""The rig's program, as it goes into a rig's filesystem."""

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansim.home import project_root

# What the rig shares with a device's firmware.
_SHARED = ("ansim_fw/core/json_seq.py",)
_MAIN = "main.py"


@dataclass(frozen=True)
class Program:
    """What goes into a rig's filesystem: path to content; ``build`` is by what it names itself."""

    build: str
    files: Mapping[str, bytes]


@functools.cache
def program() -> Program:
    """Return the rig's program as it is in this checkout; as source, for a rig has memory to spare."""
    root = project_root() / "firmware"
    paths = [*sorted((root / "rig").glob("*.py")), *(root / name for name in _SHARED)]
    files = {_place(path.relative_to(root)): path.read_bytes() for path in paths}
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    build = digest.hexdigest()[:8]
    return Program(build, {**files, "rig/build.py": f'BUILD = "{build}"\n'.encode()})


def _place(path: Path) -> str:
    """MicroPython starts main.py beside the packages."""
    return _MAIN if path.name == _MAIN else path.as_posix()
