"""What must stay secret is on the device and in the fleet's keys, and nowhere else, however a line goes."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from line_kit import ANSIM, PATIENCE_S

from ansim import console_key
from ansim.home import Home
from ansim.sandbox import WIFI, Sandbox
from ansim.virtual import VirtualBoard

HOUSE_PASSPHRASE = "ein-haus-in-jongno-17"
TOKEN = re.compile(rb"eyJ[\w-]{20,}\.[\w-]{40,}\.[\w-]{60,}")
# Here they have to be: the fleet's own folder of keys, and the virtual boards with the Wi-Fi around them.
KEPT_BY = ("keys", "virtual")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "home") as sandbox:
        yield sandbox


class ProcessList:
    """All that the system tells of all processes, their arguments and environments, as long as the context lasts."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._over = threading.Event()
        self._watching = threading.Thread(target=self._watch)

    def __enter__(self) -> "ProcessList":
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watching.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            for path in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    self.seen.add(told(path / name))


def told(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        # It ended meanwhile, or is another user's.
        return b""


def ansim(home: Home, *arguments: str, piped: str = "", code: int = 0) -> bytes:
    done = subprocess.run(
        [str(ANSIM), "--debug", *arguments],
        input=piped.encode(),
        capture_output=True,
        timeout=PATIENCE_S,
        env={**os.environ, "ANSIM_HOME": str(home.path)},
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def secrets_of(home: Home, boards: list[VirtualBoard]) -> list[bytes]:
    fleet_key = console_key.load(home)
    device_keys = [console_key.device_key(fleet_key, board.mac) for board in boards]
    files = [path.read_bytes() for path in home.keys.iterdir() if path.suffix in (".nk", ".key", ".creds")]
    # Of a PEM or a credentials file, each line that is more than a heading.
    lines = [line for file in files for line in file.splitlines() if len(line) > 40 and b" " not in line]
    assert len(lines) >= len(files) > 6
    flash = b"".join(path.read_bytes() for path in (home.path / "virtual").rglob("*") if path.is_file())
    tokens = set(TOKEN.findall(flash))
    assert tokens, "a device holds a token"
    assert device_keys[0] in flash
    passphrases = [WIFI.passphrase.encode(), HOUSE_PASSPHRASE.encode()]
    raw = [fleet_key, *device_keys]
    return [*passphrases, *lines, *tokens, *raw, *(key.hex().encode() for key in raw)]


def test_no_secret_is_in_an_output_a_log_the_registry_or_the_process_list(box: Sandbox, tmp_path: Path) -> None:
    manifest = tmp_path / "jongno.csv"
    manifest.write_text("site,wifi\njongno-01,HOUSE\n", encoding="utf-8")
    boards = [box.start_board("a"), box.start_board("b", board="esp32c3_devkit")]
    line = ("line", str(manifest), "-b", "virtual", "--virtual", "--hands", "rig")
    with ProcessList() as processes:
        shown = ansim(box.home, *line, piped=f"{HOUSE_PASSPHRASE}\n", code=2)
        shown += ansim(box.home, "flash", "-b", "virtual", "-p", "virtual:a", "-p", "virtual:b", "--json", code=2)
    shown += ansim(box.home, "registry", "export") + ansim(box.home, "registry", "show", "AN000001")
    assert b"PASS" in shown and b"wrong kind of board" in shown
    assert any(b"forkserver" in each for each in processes.seen)
    kept = {
        path: path.read_bytes()
        for path in box.home.path.rglob("*")
        if path.is_file() and path.relative_to(box.home.path).parts[0] not in KEPT_BY
    }
    assert any(path.suffix == ".log" for path in kept) and any(path.name == "ansim.db" for path in kept)
    for number, secret in enumerate(secrets_of(box.home, boards)):
        assert secret not in shown, f"secret {number} was shown"
        assert not any(secret in each for each in processes.seen), f"secret {number} is in the process list"
        assert [str(path) for path, content in kept.items() if secret in content] == [], f"secret {number}"
