"""What a worker of the benchmark does; a module of its own, because each worker imports it."""

from collections.abc import Callable
from typing import Any

from ansim import flash_job
from ansim.flash_job import Job, Outcome, Prepared


def flash_one(say: Callable[[Any], None], job: Job, prepared: Prepared) -> Outcome:
    return flash_job.flash(job, lambda *step: say(step), prepared)
