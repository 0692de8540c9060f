"""Where a board's MicroPython image comes from: a file, the cache, micropython.org, or the stand-in."""

import json
import re
from pathlib import Path
from typing import Any

from ansim.boards import Board, boards_folder
from ansim.errors import AnsimError, BadInput
from ansim.home import Home
from ansim.image import write_atomically
from ansim.micropython_image import DOWNLOAD_PAGE, MicroPythonImage, load_image
from ansim.stand_in import stand_in_image


def image_for(board: Board, home: Home, given: Path | None = None) -> MicroPythonImage:
    """The image to flash on board: the file given, the stand-in on a board without a chip, else fetched.

    Raises:
        BadInput: the image does not belong on the board, or is damaged.
        AnsimError: it can't be fetched.
    """
    if given is not None:
        return load_image(given, board)
    if board.micropython.stand_in:
        return stand_in_image(board)
    return fetch_image(board, home)


def fetch_image(board: Board, home: Home, lock: Path | None = None) -> MicroPythonImage:
    """The board's official image, from the cache or from micropython.org.

    The first fetch of a build records its file name and SHA-256 in lock (boards/micropython.lock, to be committed);
    from then on exactly that file is used, on every station.

    Raises:
        AnsimError: mpflash is not installed, or micropython.org can't be reached or has no such build.
        BadInput: the file is not the one in the lock, or not fit for board.
    """
    lock = lock or boards_folder() / "micropython.lock"
    locked = _read_lock(lock).get(board.micropython.build)
    path = home.cache / locked["file"] if locked else None
    if path is None or not path.is_file():
        path = _download(board, home, locked["file"] if locked else None)
    image = load_image(path, board)
    if locked is None:
        _write_lock(lock, board.micropython.build, {"file": path.name, "sha256": image.sha256})
    elif image.sha256 != locked["sha256"]:
        path.unlink()
        raise BadInput(
            f"{path.name} is not the file that {lock} names: its SHA-256 is {image.sha256}",
            "It was thrown away. Run it again; if that repeats, ask who recorded the lock.",
        )
    return image


def _read_lock(lock: Path) -> dict[str, dict[str, str]]:
    if not lock.exists():
        return {}
    try:
        builds = json.loads(lock.read_text(encoding="utf-8"))
        return {build: {"file": Path(entry["file"]).name, "sha256": entry["sha256"]} for build, entry in builds.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{lock} can't be read", "Restore it from version control, or delete it.") from error


def _write_lock(lock: Path, build: str, entry: dict[str, str]) -> None:
    builds = _read_lock(lock) | {build: entry}
    write_atomically(lock, (json.dumps(builds, indent=2, sort_keys=True) + "\n").encode())


def _download(board: Board, home: Home, wanted: str | None) -> Path:
    """Fetch the file called wanted, or the newest release of the board's build, into the cache."""
    build = board.micropython.build
    by_hand = f"Get it from {DOWNLOAD_PAGE}{build}/ and give the file with --micropython FILE."
    try:
        from loguru import logger
        from mpflash.download import from_web
    except ImportError as error:
        raise AnsimError(
            f"can't fetch {build}: mpflash is not installed", f"pip install 'ansim[fetch]'. {by_hand}"
        ) from error
    logger.disable("mpflash")
    try:
        offered = [found for found in from_web.get_boards(["esp32"], [build], clean=True) if found.board_id == build]
        choice = _choose(offered, wanted)
        if choice is None:
            raise AnsimError(f"micropython.org offers no {wanted or build}", by_hand)
        fetched = list(from_web.fetch_firmware_files([choice], home.cache, force=True))
    except OSError as error:
        raise AnsimError(f"can't fetch {build}: micropython.org can't be reached", by_hand) from error
    if not fetched:
        raise AnsimError(f"can't fetch {choice.firmware_file}: micropython.org did not send it", by_hand)
    return Path((home.cache / fetched[0].firmware_file).rename(home.cache / Path(fetched[0].firmware_file).name))


def _choose(offered: list[Any], wanted: str | None) -> Any | None:
    """The offer called wanted, else the newest release; previews are never taken by themselves."""
    if wanted:
        return next((offer for offer in offered if offer.firmware_file == wanted), None)
    releases = [offer for offer in offered if re.fullmatch(r"v[\d.]+", offer.version)]
    return max(releases, key=lambda offer: [int(part) for part in offer.version[1:].split(".")], default=None)
