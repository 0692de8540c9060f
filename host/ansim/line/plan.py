"""What a line has ready before its first board."""

from dataclasses import dataclass, replace

from ansim import flash_job
from ansim.boards import load_board
from ansim.device_state import READY
from ansim.flash_job import Job, Prepared
from ansim.line.floor import Floor, Row
from ansim.line.job import Treatment, make_ready
from ansim.manifest import Manifest
from ansim.provisioning import Provisioner
from ansim.registry import Registry
from ansim.workers import Workers


@dataclass(frozen=True)
class Plan:
    """What is done with each board, and the floor that counts them.

    Args:
        job: of all of them; its port is none's.
    """

    job: Job
    prepared: Prepared
    treatment: Treatment
    floor: Floor

    @classmethod
    def made(cls, job: Job, treatment: Treatment, limit: int) -> "Plan":
        """Find out whether everything is there, and get ready what all boards need; limit: so many at once.

        Raises:
            AnsimError: something is missing or wrong that each board would fail of.
        """
        if treatment.printer:
            treatment.printer.check()
        prepared = flash_job.prepare(job.home, job.board, job.micropython)
        # Checks fleet, keys, registry and wishes, and begins the manifest.
        with Provisioner(job.home, load_board(job.board), job.wishes, job.station):
            pass
        return cls(job, prepared, treatment, _floor(job, limit))

    def begin(self, workers: Workers, row: Row) -> None:
        """Start the work on the board in row, as a task called by its socket's key."""
        job = replace(self.job, port=row.socket.port)
        workers.start(row.socket.key, make_ready, job, self.prepared, self.treatment, dict(self.floor.done))


def done_before(registry: Registry, manifest: Manifest | None) -> dict[str, str]:
    """Return the devices that a line leaves alone, by MAC: ready at manifest's places, without one at any manifest's.

    A line without a manifest would take a finished board's role and proof away, if only until it is done again.
    """
    ready = registry.devices(manifest=manifest.name if manifest else None, state=READY)
    return {each.mac: each.device for each in ready if each.manifest}


def _floor(job: Job, limit: int) -> Floor:
    manifest = job.wishes.manifest
    with Registry.open(job.home.database_url, job.station) as registry:
        done = done_before(registry, manifest)
    if manifest is None:
        return Floor(limit, done=done)
    return Floor(limit, name=manifest.name, total=manifest.total, done=done)
