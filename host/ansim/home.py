"""Where a station keeps its things: keys, registry, virtual boards, broker store, caches."""

import os
from dataclasses import dataclass
from pathlib import Path

from ansim.errors import BadInput


@dataclass(frozen=True)
class Home:
    """One directory, mode 0700, that holds all that ansim keeps on this machine.

    Chosen by the environment variable ANSIM_HOME, else ``~/.ansim``.
    """

    path: Path

    @classmethod
    def default(cls) -> "Home":
        return cls(Path(os.environ.get("ANSIM_HOME", "~/.ansim")).expanduser().absolute())

    def folder(self, name: str) -> Path:
        """Return the folder name below home, made if needed, readable by its owner only.

        Raises:
            BadInput: the folder can't be made.
        """
        folder = self.path / name
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise BadInput(
                f"can't make {folder}: {error.strerror}", "Set ANSIM_HOME to a folder that you may write to."
            ) from error
        return folder

    @property
    def keys(self) -> Path:
        return self.folder("keys")

    @property
    def virtual(self) -> Path:
        return self.folder("virtual")

    @property
    def cache(self) -> Path:
        return self.folder("cache")

    @property
    def broker(self) -> Path:
        return self.folder("broker")

    @property
    def fleet_file(self) -> Path:
        return self.path / "fleet.toml"

    @property
    def database_url(self) -> str:
        """The registry's SQLAlchemy URL: ANSIM_DB, else a SQLite file in home."""
        return os.environ.get("ANSIM_DB") or f"sqlite:///{self.path / 'ansim.db'}"


def project_root() -> Path:
    """The checkout that holds boards/ and firmware/."""
    return Path(__file__).resolve().parents[2]
