"""Bits of the flash flip: no event that waits is lost with one rotten block."""

import json
import subprocess
import sys
from pathlib import Path

from ansim.home import project_root
from ansim.image import filesystem_image

FLIPS = 24
VFS_BYTES = 64 * 4096


def test_one_rotten_block_anywhere_loses_no_waiting_event(tmp_path: Path) -> None:
    flash = bytearray(b"\xff" * VFS_BYTES)
    for offset, data in filesystem_image({"main.py": b"pass", "ansim_fw/loop.mpy": bytes(9000)}, VFS_BYTES):
        flash[offset : offset + len(data)] = data
    image = tmp_path / "image"
    image.write_bytes(flash)
    script = Path(__file__).with_name("journal_rot.py")
    micropython = Path(sys.executable).with_name("micropython")
    command = [micropython, "-X", "heapsize=16M", script, project_root() / "firmware", image, str(FLIPS)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    starts = json.loads(ran.stdout)
    assert {block: lost for block, (lost, _) in starts.items() if lost} == {}
    # The root's two blocks, each shelf's two, and the code.
    assert len(starts) >= 8
    # Where it took events from one of the shelves, the device says so.
    assert sum(told for _, told in starts.values()) >= FLIPS
