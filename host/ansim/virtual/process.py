"""One run of MicroPython: a process of the unix port on a pty, with its pipes."""

import contextlib
import importlib.util
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

from ansim.errors import AnsimError
from ansim.virtual import wire

RUNTIME = Path(__file__).parent / "runtime"

# Without "site" a start takes 9 ms, not 25. The pty becomes the controlling terminal, so that the kernel ends this
# process (SIGHUP) when the board's process goes, however it goes; an orphan would spin on its closed terminal.
# Below nohup SIGHUP is ignored, and children inherit that.
_LAUNCH = (
    "import sys, fcntl, termios, _signal; _signal.signal(_signal.SIGHUP, _signal.SIG_DFL); "
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "sys.path.insert(0, sys.argv.pop(1)); from micropython_run import run_main; sys.exit(run_main(sys.argv))"
)

# Ctrl-C is turned into one interrupt; a second one before MicroPython has dealt with the first would end the process.
# At a prompt it has.
_INTERRUPT_APART_S = 0.1
_CTRL_C = 3


def _extension_folder() -> str:
    found = importlib.util.find_spec("micropython_run")
    if found is None or found.origin is None:
        raise AnsimError(
            "MicroPython's unix port is not installed, so there is no virtual board here",
            "It exists for Linux on x86-64 and macOS on arm64; boards with a chip can be used from here.",
        )
    return str(Path(found.origin).parent)


class Process:
    """A running MicroPython.

    Args:
        folder: its working directory; nothing of it is visible inside.
        flash: the flash file, which it reads in place; it asks the board to write.
        inputs: the file of wire.Inputs.
        heap_bytes: the size of MicroPython's heap.

    Attributes:
        listening: programs run, so that Ctrl-C may interrupt.
        uart: file descriptor of the pty's master end, non-blocking.
        frames: file descriptor of the pipe on which frames arrive; it ends when the process does.
    """

    def __init__(self, folder: Path, flash: Path, inputs: Path, heap_bytes: int) -> None:
        self.uart, slave = pty.openpty()
        self.frames, frames_end = os.pipe()
        replies_end, self._replies = os.pipe()
        bell_end, self._bell = os.pipe()
        inputs_fd, flash_fd = os.open(inputs, os.O_RDONLY), os.open(flash, os.O_RDONLY)
        given = (frames_end, replies_end, bell_end, inputs_fd, flash_fd)
        for fd in (self.uart, self._bell):
            os.set_blocking(fd, False)
        _make_raw(slave)
        command = [sys.executable, "-I", "-S", "-c", _LAUNCH, _extension_folder()]
        command += ["-X", f"heapsize={heap_bytes}", "-i", str(RUNTIME / "boot.py"), *map(str, given)]
        try:
            self._popen = subprocess.Popen(
                command,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                cwd=folder,
                pass_fds=given,
                start_new_session=True,
                env={"HOME": str(folder), "MICROPYPATH": str(RUNTIME)},
            )
        finally:
            for fd in (slave, *given):
                os.close(fd)
        self.listening = False
        self._interrupted_at = 0.0

    def write(self, data: bytes) -> int:
        """Give data to the UART's RX; return how many bytes were lost.

        While MicroPython listens for it, Ctrl-C interrupts at once, whatever waits before it, as the ESP32's UART
        interrupt does. What does not fit into the terminal's queue (4 KiB and more, against 260 bytes on an ESP32,
        because bytes arrive here in bursts and not at a baud rate) is lost, as a UART loses it.
        """
        if _CTRL_C in data or self._interrupted_at:
            data = self._without_interrupts(data)
        try:
            return len(data) - (os.write(self.uart, data) if data else 0)
        except OSError:
            return len(data)

    def _without_interrupts(self, data: bytes) -> bytes:
        """Interrupt what runs, if Ctrl-C is in data; return what else is to be read."""
        if not self._interruptible():
            self._interrupted_at = 0.0
            return data
        if _CTRL_C in data:
            self._interrupt()
        return data.replace(bytes([_CTRL_C]), b"")

    def ring(self) -> None:
        """Wake the chip: a pin changed."""
        with contextlib.suppress(OSError):
            os.write(self._bell, b"\0")

    def reply(self, sequence: int, status: int, payload: bytes = b"") -> None:
        with contextlib.suppress(OSError):
            os.write(self._replies, wire.reply(sequence, status, payload))

    def read_uart(self) -> bytes:
        """Return what the process wrote and nobody read yet; empty if there is nothing."""
        try:
            return os.read(self.uart, 4096)
        except OSError:
            return b""

    def kill(self) -> bytes:
        """End the process now; return the last of its output."""
        self._popen.kill()
        return self._reap()

    def wait(self) -> tuple[int, bytes]:
        """The process has closed its pipe: return its exit status (negative: a signal) and the last of its output."""
        try:
            self._popen.wait(2)
        except subprocess.TimeoutExpired:
            self._popen.kill()
        last = self._reap()
        return self._popen.returncode, last

    def _reap(self) -> bytes:
        self._popen.wait()
        last = bytearray()
        while chunk := self.read_uart():
            last += chunk
        for fd in (self.uart, self.frames, self._replies, self._bell):
            os.close(fd)
        return bytes(last)

    def _interruptible(self) -> bool:
        """Tell whether MicroPython runs code and has not switched Ctrl-C off, as kbd_intr() says by NOFLSH."""
        modes = termios.tcgetattr(self.uart)[3]
        if not self.listening or modes & termios.NOFLSH:
            return False
        caught = _catches_interrupts(self._popen.pid)
        return bool(modes & termios.ISIG) if caught is None else caught

    def _interrupt(self) -> None:
        now = time.monotonic()
        if now - self._interrupted_at >= _INTERRUPT_APART_S:
            self._interrupted_at = now
            self._popen.send_signal(signal.SIGINT)


def _catches_interrupts(pid: int) -> bool | None:
    """Tell whether a process handles SIGINT, which MicroPython does while it runs code; None without /proc.

    The terminal's modes tell it less well: what came by raw paste runs with the REPL's own, without ISIG, and whatever
    it sets by kbd_intr() the REPL has after it.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGINT - 1) & 1)


def _make_raw(terminal: int) -> None:
    """No echo, no lines, no translation, no signals by the kernel: ISIG only says that MicroPython wants Ctrl-C."""
    modes = termios.tcgetattr(terminal)
    modes[0] = modes[1] = 0
    # MicroPython's REPL goes back to these modes whenever it runs something.
    modes[3] = termios.ISIG
    modes[6] = [os.fpathconf(terminal, "PC_VDISABLE")] * len(modes[6])
    modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
    termios.tcsetattr(terminal, termios.TCSANOW, modes)
