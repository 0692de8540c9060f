"""Files that hold secrets: readable by their owner only, written whole or not at all, never overwritten by chance."""

import os
import stat
import tempfile
from pathlib import Path

from ansim.errors import BadInput, ServiceError

# Nothing that is kept here is nearly that long; it bounds what a wrong file can make us read.
MAX_BYTES = 64 * 1024


def read(path: Path) -> bytes:
    """Return the contents of path.

    Raises:
        ServiceError: missing, unreadable, too long, or others than its owner may read or replace it.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise ServiceError(
                    f"{path} can be read or changed by others (its mode is {mode:o})",
                    f"If no one else has used it: chmod 600 {path}",
                )
            _check_folder(path.parent)
            found = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ServiceError(f"{path} does not exist", "Make the keys first: ansim init") from error
    except OSError as error:
        raise ServiceError(f"can't read {path}: {error.strerror}", "Check who owns the file.") from error
    if len(found) > MAX_BYTES:
        raise ServiceError(f"{path} is too long to be one of ansim's files", "Put back a backup of it.")
    return found


def create(path: Path, contents: bytes) -> None:
    """Write a new file, mode 0600, durable when this returns.

    Raises:
        BadInput: path exists already (and is left as it is), or can't be written.
    """
    temporary = _write_beside(path, contents)
    try:
        # Unlike a rename, a link never replaces what another process has just made.
        os.link(temporary, path)
    except OSError as error:
        raise BadInput(f"can't write {path}: {error.strerror}", "Nothing was overwritten.") from error
    finally:
        temporary.unlink()
    _sync_folder(path.parent)


def replace(path: Path, contents: bytes) -> None:
    """Write a file, mode 0600, in place of an older one if there is one; durable when this returns.

    Raises:
        BadInput: path can't be written.
    """
    temporary = _write_beside(path, contents)
    try:
        temporary.replace(path)
    except OSError as error:
        temporary.unlink()
        raise BadInput(f"can't write {path}: {error.strerror}", "The old file was left as it was.") from error
    _sync_folder(path.parent)


def _check_folder(folder: Path) -> None:
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o022:
        raise ServiceError(
            f"{folder} can be changed by others (its mode is {mode:o})",
            f"If no one else has used it: chmod 700 {folder}",
        )


def _write_beside(path: Path, contents: bytes) -> Path:
    try:
        # mkstemp makes it 0600.
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(contents)
                file.flush()
                os.fsync(handle)
        except BaseException:
            Path(name).unlink()
            raise
    except OSError as error:
        raise BadInput(
            f"can't write to {path.parent}: {error.strerror}", "Check its owner and that the disk is not full."
        ) from error
    return Path(name)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
