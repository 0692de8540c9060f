"""What a worker does with one board: the same for the line, and for commands with several ports."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ansim import flash_job
from ansim.boards import load_board
from ansim.errors import AnsimError, ServiceError
from ansim.flash_job import Job, Outcome, Prepared
from ansim.line.labels import LabelPrinter
from ansim.line.told import Asking, Doing, Known, Passed, Said
from ansim.line.trouble import DoneAlready
from ansim.proof import Hands, Step, plan_for
from ansim.registry import Registry

# A board without a sensor has no test of one, but each has a button.
_BY_HAND = ("button", "outputs")

# Called with what is worth telling.
Say = Callable[[Said], None]


def flash(say: Say, job: Job, prepared: Prepared) -> Passed:
    """Flash the board on job's port; raises what flash_job.flash raises."""
    teller = _Teller(say)
    return _told(flash_job.flash(job, teller.progress, prepared, teller.mac, teller.step))


def provision(say: Say, job: Job) -> Passed:
    """Give the board on job's port its identity; raises what flash_job.provision raises."""
    teller = _Teller(say)
    return _told(flash_job.provision(job, teller.progress, teller.mac, teller.step))


@dataclass(frozen=True)
class Treatment:
    """What boards of a line get after they are flashed.

    Args:
        hands: who presses in their proof.
        printer: where their labels come from; None: from nowhere.
    """

    hands: Hands
    printer: LabelPrinter | None = None


def make_ready(say: Say, job: Job, prepared: Prepared, treatment: Treatment, done: Mapping[str, str]) -> Passed:
    """Flash, prove and label the board on job's port, unless it is one of done: devices that are ready, by MAC.

    Raises:
        DoneAlready: it is; nothing was written to it.
        BadInput: the treatment's hands can't reach it.
        AnsimError: as flash_job.flash.
    """
    teller = _Teller(say, done)
    proven = replace(job, proof=plan_for(load_board(job.board), treatment.hands, job.port, job.home))
    passed = _told(flash_job.flash(proven, teller.progress, prepared, teller.mac, teller.step))
    if treatment.printer:
        teller.progress("label", 1, 1)
        passed = replace(passed, unlabelled=_labelled(treatment.printer, passed.device, job))
    return replace(passed, ready=_ready(job))


def _labelled(printer: LabelPrinter, device: str, job: Job) -> str:
    """Print device's label; return what went wrong, for the device is ready all the same. Empty: nothing.

    Being stopped is among that: a printer without paper would wait for ever.
    """
    try:
        printer.print_label(device, job.home, job.station)
    except AnsimError as error:
        return error.message
    except OSError as error:
        return f"can't use {printer.path}: {error.strerror}"
    except KeyboardInterrupt:
        return "stopped before it was printed"
    return ""


def _told(outcome: Outcome) -> Passed:
    phases = outcome.proof.phases if outcome.proof else ()
    untried = [phase.name for phase in phases if phase.name in _BY_HAND and phase.passed is None]
    site, role = (str(outcome.info.get(name) or "") for name in ("site", "role"))
    return Passed(outcome.device, outcome.report.mac, site, role, tuple(untried), details=outcome.as_dict())


class _Teller:
    """Tells what the job reports, as far as a person could see the difference."""

    def __init__(self, say: Say, done: Mapping[str, str] | None = None) -> None:
        self._say = say
        self._done = done or {}
        self._last: Doing | None = None

    def mac(self, mac: str) -> None:
        self._say(Known(mac))
        if mac in self._done:
            raise DoneAlready(f"the board with MAC {mac} is {self._done[mac]}, and is done", self._done[mac])

    def progress(self, what: str, done: int, total: int) -> None:
        step, _, part = what.partition(" ")
        self._tell(Doing(step, 100 * done // max(total, 1), 100, part if step == "writing" else ""))

    def step(self, step: Step) -> None:
        self._tell(Doing("proof", step.number - 1, step.of, step.phase))
        if step.ask:
            self._say(Asking(step.ask))

    def _tell(self, doing: Doing) -> None:
        if doing != self._last:
            self._last = doing
            self._say(doing)


def _ready(job: Job) -> int | None:
    """Return how many places of job's manifest have a board that is ready; None: there is none, or nobody can tell."""
    if job.wishes.manifest is None:
        return None
    with contextlib.suppress(ServiceError), Registry.open(job.home.database_url, job.station) as registry:
        return sum(each.ready for each in registry.progress(job.wishes.manifest.name))
    return None
