"""A label for each board as soon as it is ready, from a printer beside the line."""

import contextlib
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ansim.errors import BadInput, ServiceError
from ansim.extras import require_packages
from ansim.home import Home
from ansim.label import PACKAGES
from ansim.label.words import languages
from ansim.registry import Registry

if TYPE_CHECKING:
    from ansim.label.output import Job

# It takes long to import; the workers start with it.
PRELOAD = "ansim.label.output"


@dataclass(frozen=True)
class LabelPrinter:
    """A printer that takes ZPL.

    Args:
        path: its device.
        format_name: of the labels in it.
        text: the city's own line; may be empty.
    """

    path: Path
    format_name: str
    text: str
    dpi: int

    def check(self) -> None:
        """Find out before the first board whether labels could be printed.

        Raises:
            BadInput: path is no printer, or format or text are not legal.
            AnsimError: the packages for labels are not installed.
        """
        require_packages("label", PACKAGES)
        self._check_there()
        self._job().render([])

    def print_label(self, device: str, home: Home, station: str | None) -> None:
        """Print the label of device, and put that into the ledger; waits for a printer that waits for paper.

        Raises:
            BadInput: the printer does not take it, or is gone.
            ServiceError: the registry can't be used.
        """
        from ansim.label.output import write

        job = self._job()
        with Registry.open(home.database_url, station) as registry, _alone(home):
            self._check_there()
            write(self.path, job.render([registry.get(device)]))
            # The label counts: one that the ledger does not know is better than a device without one.
            with contextlib.suppress(ServiceError):
                registry.record_labels([device], {"kind": "zpl", "format": self.format_name})

    def _check_there(self) -> None:
        # One that was unplugged would become a file of that name.
        if not self.path.is_char_device():
            raise BadInput(f"{self.path} is no printer", "Name the printer's device, such as /dev/usb/lp0.")

    def _job(self) -> "Job":
        from ansim.label.output import Job, Kind

        return Job(Kind.ZPL, self.format_name, tuple(languages()), self.text, date.today(), 0, self.dpi)


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Only one worker prints at a time: labels come in the order of the boards, and never into each other."""
    with (home.cache / "label.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
