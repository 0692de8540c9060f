"""A fleet as many worlds, played on all cores; what they found is put together in their order."""

import multiprocessing
import signal
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from ansim.errors import AnsimError
from ansim.simulation.chance import mix
from ansim.simulation.mutants import parts_of
from ansim.simulation.recipe import Found, Recipe, Setting
from ansim.simulation.shrink import shrink
from ansim.simulation.stimuli import plan
from ansim.simulation.tally import Tally
from ansim.simulation.timeline import DAY_MS
from ansim.simulation.world import World

# So many devices share a broker and a receiver.
DEVICES_A_WORLD = 5
# So many worlds are handed out for each process: it need not wait for its next one.
_AHEAD = 3

_World = tuple[Tally, int, Found | None]
_Map = Callable[[Callable[[int], _World], Iterable[int]], Iterator[_World]]


@dataclass(frozen=True)
class Fleet:
    """What is to be played: the same fleet is the same run, on any number of processes."""

    seed: int
    days: int
    devices: int
    intensity: int = 1
    mutant: str = ""

    @property
    def worlds(self) -> int:
        return -(-self.devices // DEVICES_A_WORLD)

    def recipe(self, world: int) -> Recipe:
        """Return what happens in one of its worlds."""
        seed = mix(self.seed, world)
        devices = tuple(range(min(DEVICES_A_WORLD, self.devices - world * DEVICES_A_WORLD)))
        duration_ms = self.days * DAY_MS
        setting = Setting(seed, devices, duration_ms, self.mutant)
        return Recipe(setting, plan(seed, devices, duration_ms, self.intensity))


@dataclass
class Outcome:
    """What became of a fleet.

    Args:
        digest: of everything that happened; the same for the same fleet.
        broken: what does not hold, and in which world.
    """

    tally: Tally = field(default_factory=Tally)
    digest: int = 0
    broken: list[tuple[int, Found]] = field(default_factory=list)


def play(recipe: Recipe) -> Found | None:
    """Play one world; return what does not hold, None if all does."""
    return World(recipe.setting, parts_of(recipe.setting.mutant)).run(recipe.stimuli)


def tell(recipe: Recipe) -> tuple[Found | None, list[str]]:
    """Play one world; return what does not hold, and the story."""
    world = World(recipe.setting, parts_of(recipe.setting.mutant), keep=True)
    return world.run(recipe.stimuli), world.trace.lines


def play_fleet(fleet: Fleet, processes: int, on_world: Callable[[int], None] = lambda _done: None) -> Outcome:
    """Play every world of fleet.

    Args:
        processes: how many share the work; 1: this one.
        on_world: called with the number of worlds that are done.

    Raises:
        AnsimError: a process was killed.
    """
    outcome = Outcome()
    with _mapping(processes) as mapped:
        for world, (tally, digest, found) in enumerate(mapped(partial(_play_world, fleet), range(fleet.worlds))):
            outcome.tally.add(tally)
            outcome.digest = zlib.crc32(digest.to_bytes(4, "big"), outcome.digest)
            if found is not None:
                outcome.broken.append((world, found))
            on_world(world + 1)
    return outcome


def shrunk(fleet: Fleet, world: int, found: Found) -> tuple[Recipe, Found]:
    """Return a small run that violates what world did."""
    return shrink(play, fleet.recipe(world), found)


def _play_world(fleet: Fleet, number: int) -> _World:
    recipe = fleet.recipe(number)
    world = World(recipe.setting, parts_of(fleet.mutant))
    found = world.run(recipe.stimuli)
    return world.tally, world.trace.digest, found


@contextmanager
def _mapping(processes: int) -> Iterator[_Map]:
    if processes == 1:
        yield map
        return
    others = set(multiprocessing.active_children())
    # Unlike multiprocessing.Pool it notices when one of its processes is killed; Pool would wait for ever.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _leave_interrupts)
    try:
        yield partial(_in_order, pool, processes * _AHEAD)
    except BrokenProcessPool as error:
        raise AnsimError(
            "a process of the simulation was killed", "Is there memory for so many? See --jobs."
        ) from error
    except BaseException:
        # Nobody waits for what they play.
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(
    pool: ProcessPoolExecutor, at_once: int, play_one: Callable[[int], _World], worlds: Iterable[int]
) -> Iterator[_World]:
    waiting: deque[Future[_World]] = deque()
    for world in worlds:
        waiting.append(pool.submit(play_one, world))
        if len(waiting) == at_once:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _leave_interrupts() -> None:
    """Ctrl-C is the parent's, which ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
