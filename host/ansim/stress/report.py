"""The report of a stress run: sections of text, which a terminal and a page show alike."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.table import Table
from rich.text import Text

from ansim.stress.report_words import Words
from ansim.stress.result import FINDINGS, INVENTED, LOST, UNEXPLAINED_RESET, Finding, Result, percentiles

# A person reads no more of them; JSON has all.
MAX_FINDINGS = 50

Row = tuple[str, ...]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Section:
    """A table.

    Args:
        title: stands above the first column, which has names.
        columns: of the others; numbers: they are right aligned.
        rows: never none.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    numbers: bool = True


def summary(result: Result, words: Words) -> list[str]:
    """Return the verdict, and how to repeat the run."""
    verdict = (words.passed if result.passed else words.failed).format(
        findings=len(result.findings),
        gestures=len(result.gestures),
        devices=len(result.devices),
        lasted_s=round(result.lasted_s),
        lost=result.count(LOST),
        invented=result.count(INVENTED),
        resets=result.count(UNEXPLAINED_RESET),
    )
    again = words.again.format(seed=result.setting.seed, command=result.setting.command)
    return [verdict, *([words.interrupted] if result.interrupted else []), again]


def sections(result: Result, words: Words) -> list[Section]:
    """Return what there is to tell, the worst first; nothing of what there was not."""
    found = (make(result, words) for make in _MAKERS)
    return [section for section in found if section.rows]


def tables(result: Result, words: Words) -> Iterator[Table]:
    """Return the sections for a terminal."""
    for section in sections(result, words):
        table = Table(box=None, pad_edge=False)
        table.add_column(section.title)
        for column in section.columns:
            table.add_column(column, justify="right" if section.numbers else "left")
        for row in section.rows:
            table.add_row(*map(Text, row))
        yield table


def _findings(result: Result, words: Words) -> Section:
    rows = [
        (words.findings.get(kind, kind), str(result.count(kind)), meaning)
        for kind, meaning in FINDINGS.items()
        if result.count(kind)
    ]
    return _section(words, "findings", ("times", "meaning"), rows, numbers=False)


def _found(result: Result, words: Words) -> Section:
    rows = [_where(each, words) for each in result.findings[:MAX_FINDINGS]]
    if left_out := len(result.findings) - len(rows):
        rows.append((words.more.format(count=left_out), "", "", "", ""))
    return _section(words, "found", ("device", "episode", "at_s", "detail"), rows, numbers=False)


def _where(finding: Finding, words: Words) -> Row:
    episode = words.whole_run if finding.episode < 0 else str(finding.episode)
    kind = words.findings.get(finding.kind, finding.kind)
    return kind, finding.device, episode, f"{finding.at_ms / 1000:.1f}", finding.detail


def _gestures(result: Result, words: Words) -> Section:
    kinds = _grouped(result.gestures, lambda each: each.kind)
    rows = [
        (
            kind,
            str(len(done)),
            str(sum(each.acknowledged_ms is not None for each in done)),
            str(sum(each.troubled for each in done)),
            str(sum(each.excused for each in done)),
        )
        for kind, done in kinds.items()
    ]
    return _section(words, "gestures", ("times", "acknowledged", "troubled", "excused"), rows)


def _latency(result: Result, words: Words) -> Section:
    rows: list[Row] = []
    for name, troubled in ((words.untroubled, False), (words.troubled, True)):
        taken = result.latencies_ms(troubled)
        if taken:
            rows.append((name, str(len(taken)), *map(str, percentiles(taken).values())))
    return _section(words, "latency", ("count", *percentiles([0])), rows)


def _alarms(result: Result, words: Words) -> Section:
    kinds = _grouped(result.alarms, lambda each: f"{each.type} {each.kind}".strip())
    rows = [(kind, str(len(rows)), str(sum(each.deliveries > 1 for each in rows))) for kind, rows in kinds.items()]
    return _section(words, "alarms", ("times", "repeated"), rows)


def _faults(result: Result, words: Words) -> Section:
    rows = [(kind, str(times)) for kind, times in sorted(result.faults_by_kind().items())]
    return _section(words, "faults", ("times",), rows)


def _resets(result: Result, words: Words) -> Section:
    counted = Counter((each.cause, each.explained_by or words.unexplained) for each in result.resets)
    rows = [(cause, by, str(times)) for (cause, by), times in sorted(counted.items())]
    return _section(words, "resets", ("explained_by", "times"), rows)


def _heap(result: Result, words: Words) -> Section:
    said = _grouped(result.levels, lambda each: each.device)
    least = {name: min(each.heap_free for each in levels) for name, levels in said.items()}
    rows = []
    for slope in result.slopes:
        told = words.heap_flat.format(bytes_per_1000=f"{slope.bytes_per_1000:+.0f}", error=f"{slope.error:.0f}")
        free = f"{least[slope.device] / 1024:.1f}" if slope.device in least else ""
        rows.append((slope.device, told, free, str(slope.levels)))
    return _section(words, "heap", ("slope", "least", "values"), rows)


_MAKERS: tuple[Callable[[Result, Words], Section], ...] = (
    _findings,
    _found,
    _gestures,
    _latency,
    _alarms,
    _faults,
    _resets,
    _heap,
)


def _grouped(items: Iterable[Item], key: Callable[[Item], str]) -> dict[str, list[Item]]:
    """Return items by their key, in the order of the keys."""
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return dict(sorted(found.items()))


def _section(words: Words, name: str, columns: Iterable[str], rows: Sequence[Row], numbers: bool = True) -> Section:
    return Section(words.sections[name], [words.columns[column] for column in columns], rows, numbers)
