"""What happened in a world: a running digest always, the story itself on demand."""

import zlib


class Trace:
    """Notes what happens. Two runs are the same when their digests are.

    Args:
        keep: keep the lines, too, for a person who replays a world.
    """

    def __init__(self, keep: bool = False) -> None:
        self.digest = 0
        self.lines: list[str] = []
        self._keep = keep

    def note(self, now_ms: int, who: str, what: str, *numbers: int) -> None:
        line = f"{now_ms} {who} {what} {numbers}"
        self.digest = zlib.crc32(line.encode(), self.digest)
        if self._keep:
            self.lines.append(f"{_clock(now_ms)}  {who:<9} {what} {' '.join(map(str, numbers))}".rstrip())


def _clock(now_ms: int) -> str:
    seconds, ms = divmod(now_ms, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return f"{day:3}d {hour:02}:{minute:02}:{second:02}.{ms:03}"
