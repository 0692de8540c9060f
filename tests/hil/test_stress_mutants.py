"""Deliberate bugs of firmware and receiver: each is found by a stress scenario, in a copy of the tree with that bug.

A file of mutants/ is what is wrong, the command that finds it and what that has to find, and then a patch. One that
does not apply any more has to follow the code.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansim.errors import EXIT_FAILED
from ansim.home import project_root
from ansim.stress.result import FINDINGS

PATCHES = sorted((Path(__file__).parent / "mutants").glob("*.patch"))
HEAD = re.compile(r"What: (?P<what>.+)\nCaught by: ansim (?P<command>stress .+)\nFinding: (?P<finding>\w+)\n\n---")
PATIENCE_S = 300


@dataclass(frozen=True)
class Mutant:
    """A bug: what is wrong; the arguments of ansim that find it, and the kind of finding."""

    what: str
    command: list[str]
    finding: str


def read(patch: Path) -> Mutant:
    head = HEAD.match(patch.read_text())
    assert head, f"{patch.name} does not begin as the others do"
    return Mutant(head["what"], head["command"].split(), head["finding"])


def copy_with(patch: Path, to: Path) -> None:
    """Copy what a run needs, and put the bug in."""
    for name in ("host", "firmware", "boards"):
        shutil.copytree(project_root() / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    # In a repository git would take the patch for one of that.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(to.parent)}
    command = ["git", "apply", str(patch)]
    applied = subprocess.run(command, cwd=to, env=environment, capture_output=True, text=True, check=False)
    assert applied.returncode == 0, f"{patch.name} does not apply any more: {applied.stderr}"


def play(mutant: Mutant, tree: Path) -> tuple[int, dict[str, Any]]:
    """Run the scenario in the copy; return the exit code and what was found."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tree / "host"), str(tree / "firmware")]),
        "ANSIM_HOME": str(tree / "home"),
    }
    command = [sys.executable, "-m", "ansim", *mutant.command, "--json"]
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_mutants_are_many_and_each_says_what_finds_it() -> None:
    assert len(PATCHES) >= 10
    for patch in PATCHES:
        assert read(patch).finding in FINDINGS, patch.name


@pytest.mark.needs("boards", "flash", "wifi", "speed")
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_mutant_is_found(patch: Path, tmp_path: Path) -> None:
    mutant = read(patch)
    copy_with(patch, tmp_path)
    code, result = play(mutant, tmp_path)
    found = {each["kind"]: each["detail"] for each in result["findings"]}
    assert code == EXIT_FAILED, f"nobody found that {mutant.what}"
    assert mutant.finding in found, f"that {mutant.what} was told as {found}"
