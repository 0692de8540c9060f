"""What is said of a floor, its rows and its notices, in one language; as plain text that a terminal may show."""

from rich.cells import cell_len, set_cell_size

from ansim.line.floor import Event, Floor, Notice, Row, State
from ansim.line.told import Passed, Trouble
from ansim.line.words import Advice, Words
from ansim.serial_number import in_groups
from ansim.terminal import printable


class Phrases:
    """The sentences of one language."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self._badge_cells = max(map(cell_len, words.states.values()))

    def head(self, floor: Floor) -> str:
        """Return what stands above all: the manifest, and how many passed and failed in this run."""
        words = self.words
        passed, failed = floor.tally
        parts = [words.title, words.tally.format(passed=passed, failed=failed)]
        if floor.total is not None:
            parts.insert(1, words.of_manifest.format(name=floor.name, ready=floor.ready, total=floor.total))
        return f" {'  ·  '.join(map(printable, parts))}"

    def now(self, floor: Floor) -> str:
        """Return what goes for all sockets just now."""
        if floor.stopping:
            return self.words.stopping.format(running=len(floor.running))
        if floor.complete:
            return self.words.complete.format(total=floor.total)
        return "" if floor.once else self.words.begin

    def hidden(self, count: int) -> str:
        return self.words.hidden.format(count=count)

    def look(self, row: Row) -> str:
        """Return what row looks like: a key of the words' states."""
        if row.missing:
            return "missing"
        if row.ask:
            return "asked"
        if row.over and not row.there and row.state is not State.PULLED:
            return "empty"
        return row.state

    def badge(self, look: str) -> str:
        """Return the word of a look, in the middle of a field that is as wide for all looks."""
        word = self.words.states[look]
        before = (self._badge_cells - cell_len(word)) // 2
        return f" {set_cell_size(' ' * before + word, self._badge_cells)} "

    def about(self, row: Row, now_s: float) -> str:
        """Return what row is about: how far it is, which device it is, or what went wrong."""
        if row.state is State.RUNNING:
            minutes, seconds = divmod(int(now_s - row.at_s), 60)
            return f"{self.step(row)} {minutes}:{seconds:02}"
        if self.look(row) == "empty":
            return self._gone(row) if row.over else row.socket.port
        if row.passed:
            place = f"{row.passed.site} {row.passed.role}"
            return printable("   ".join((self.label(row), place, f"{row.seconds:.0f} s", *self._untried(row.passed))))
        if row.trouble:
            return self.what(row.trouble)
        return row.socket.port

    def next(self, row: Row) -> str:
        """Return what a technician does next with row."""
        look = self.look(row)
        if look == "passed" and row.passed and row.passed.unlabelled:
            return self.words.next["unlabelled"].format(label=self.label(row))
        if row.trouble and look != "empty":
            return self._advice(row.trouble).next
        return self.words.next[row.ask or look].format(label=self.label(row))

    def what(self, trouble: Trouble) -> str:
        """Return what went wrong, with the device where the sentence names it."""
        label = in_groups(trouble.device) if trouble.device else ""
        phases = ", ".join(map(self._phase, trouble.phases))
        return printable(self._trouble(trouble).what.format(label=label, phases=phases))

    def step(self, row: Row) -> str:
        """Return what is done with row's board now."""
        step = self.words.steps.get(row.step, row.step)
        return printable(f"{step} {self._phase(row.part)}".strip())

    def label(self, row: Row) -> str:
        """Return what stands on the label of row's board; without a serial number its MAC address."""
        return in_groups(row.device) if row.device else row.mac

    def detail(self, row: Row) -> str:
        """Return in the tool's own words what went wrong with row's board; empty where the words say it all."""
        if row.passed:
            return printable(row.passed.unlabelled)
        trouble = row.trouble
        if trouble is None or row.state not in (State.FAILED, State.PULLED):
            return ""
        return printable(f"{trouble.message}. {trouble.hint}" if trouble.hint else trouble.message)

    def line(self, notice: Notice) -> str:
        """Return notice as one line of text; empty: it is not worth one."""
        row = notice.row
        if notice.event is Event.STEP:
            told = self.words.steps.get(row.step, row.step)
        elif notice.event in (Event.ASKED, Event.MISSED):
            told = f"{self.word(row)}  {self.next(row)}"
        elif row.over and row.there | (row.state is State.PULLED):
            told = f"{self.word(row)}  {self.about(row, row.at_s)}  {self.detail(row) or self.next(row)}"
        else:
            return ""
        return f"{row.number:>3}  {row.socket.port:<16}  {told}"

    def failed(self, row: Row) -> str:
        """Return which board is not ready, and why."""
        who = self.label(row) or f"{row.number}, {row.socket.port}"
        return f"{who}: {self.about(row, row.at_s)}. {self.detail(row)}"

    def word(self, row: Row) -> str:
        return self.words.states[self.look(row)]

    def _gone(self, row: Row) -> str:
        """Return which board was in row last, for somebody who holds it in his hand and wonders."""
        what = self.what(row.trouble) if row.trouble else self.words.states["passed"]
        return self.words.next["gone"].format(label=self.label(row), what=what)

    def _phase(self, name: str) -> str:
        return self.words.phases[name].what if name in self.words.phases else name

    def _untried(self, passed: Passed) -> list[str]:
        phases = ", ".join(map(self._phase, passed.untried))
        return [self.words.untried.format(phases=phases)] if phases else []

    def _trouble(self, trouble: Trouble) -> Advice:
        return self.words.troubles[trouble.kind]

    def _advice(self, trouble: Trouble) -> Advice:
        """Of a proof, what to do about the first phase that failed."""
        first = next(iter(trouble.phases), "")
        return self.words.phases.get(first) or self._trouble(trouble)
