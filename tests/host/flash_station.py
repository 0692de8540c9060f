"""A station of its own that flashes one board at a place of a manifest, and says each step.

python flash_station.py PORT FILE    in the home and with the database that the environment names
"""

import sys
from pathlib import Path

from ansim import flash_job
from ansim.flash_job import Job
from ansim.home import Home
from ansim.manifest_file import load_manifest
from ansim.provisioning import Wishes


class Steps:
    def __init__(self) -> None:
        self._last = ""

    def __call__(self, what: str, _done: int, _total: int) -> None:
        if what != self._last:
            print(what, flush=True)
            self._last = what


def main(port: str, file: Path) -> None:
    wishes = Wishes(manifest=load_manifest(file))
    job = Job(Home.default(), port, "virtual", wishes, discard_pending=True, station=port.replace(":", "-"))
    print("passed", flash_job.flash(job, Steps()).device, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
