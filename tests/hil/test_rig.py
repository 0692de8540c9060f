"""A device on a rig: pressed, switched and seen through its wires alone.

On a place that is no rig the rig is a second virtual board whose pins are wired to the device's.
"""

from collections.abc import Iterable, Iterator

import pytest
from asked import ASKED
from rig_kit import rig_in

from ansim.places import Ground, Place
from ansim.places.rig_place import RigGround
from ansim.rig import Edge, Rig
from ansim.rig.check import check
from ansim.sandbox import Sandbox
from unit_under_test import PATIENCE_S, UnitUnderTest

pytestmark = pytest.mark.needs("flash", "press", "power", "sense", "wifi")

# Of core/indicator.py: an acknowledged alarm shows all for two seconds, and no other pattern sounds for half of that.
ACKNOWLEDGED_US = 1_000_000
# After the light of an alarm went on: in the same round of the device's loop, while it sends, and about when it is
# acknowledged.
CUTS_US = (0, 3_000, 30_000, 300_000)
_SILENCE_S = 5


@pytest.fixture(scope="module")
def place(sandbox: Sandbox, ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The device on the rig."""
    with ASKED.only(None):
        if not isinstance(ground, RigGround):
            ground = RigGround(rig_in(sandbox, tmp_path_factory.mktemp("rig"), "rig"), sandbox.wifi)
        opened = ground.open(sandbox, "")
    yield opened
    opened.close()


def pulses(edges: Iterable[Edge], line: str) -> Iterator[int]:
    """Yield how long a line was on each time, in microseconds."""
    since_us = None
    for edge in edges:
        if edge.line == line and edge.on:
            since_us = edge.us
        elif edge.line == line and since_us is not None:
            yield edge.us - since_us


def test_a_press_by_the_rig_becomes_an_acknowledged_alarm(armed: UnitUnderTest) -> None:
    armed.press()
    raised = armed.announced("raised", kind="sos")
    armed.announced("acknowledged", boot=raised["boot"], seq=raised["seq"])
    heard = armed.receives(lambda event: event.id == (armed.name, raised["boot"], raised["seq"]), "sos")
    assert heard.event.kind == "sos"


@pytest.mark.parametrize("line", ["led", "buzzer"])
def test_the_rig_sees_and_hears_that_an_alarm_is_acknowledged(armed: UnitUnderTest, line: str) -> None:
    with armed.control.sense(_SILENCE_S) as edges:
        armed.press()
        assert next((us for us in pulses(edges, line) if us > ACKNOWLEDGED_US), 0)


def test_a_press_that_bounces_is_one_alarm(armed: UnitUnderTest) -> None:
    before = len(armed.rows("sos"))
    armed.control.bounce([0, 400, 900, 1500, 1700, 120_000, 120_300, 121_000])
    armed.announced("acknowledged", kind="sos")
    armed.until_connected()
    assert len(armed.rows("sos")) == before + 1


def test_power_that_goes_in_the_middle_of_an_alarm_loses_nothing(armed: UnitUnderTest) -> None:
    before = len(armed.rows("sos"))
    for number, after_us in enumerate(CUTS_US, 1):
        with armed.control.sense(_SILENCE_S) as edges:
            armed.press()
            assert any(edge.line == "vibration" and edge.on for edge in edges)
            armed.control.power(False, after_us)
            assert any(edge.line == "power" and not edge.on for edge in edges)
        armed.control.power(True)
        armed.until_connected()
        armed.sandbox.receiver.wait_for(lambda _, due=before + number: len(armed.rows("sos")) >= due, PATIENCE_S)
        assert len(armed.rows("sos")) == before + number


def test_a_check_finds_each_wire_as_the_file_says(armed: UnitUnderTest) -> None:
    armed.disconnect()
    rig = armed.place.stimulus
    assert isinstance(rig, Rig)
    findings = list(check(rig, armed.sandbox.home))
    assert [finding for finding in findings if not finding.passed] == []
    assert {"device", *rig.file.lines} <= {finding.part for finding in findings}
    assert armed.rows("test")
