"""What everything in a world shares."""

from dataclasses import dataclass, field

from ansim.simulation.broker import Broker
from ansim.simulation.chance import Chance
from ansim.simulation.tally import Tally
from ansim.simulation.timeline import Timeline
from ansim.simulation.trace import Trace


@dataclass
class Surroundings:
    """Time, luck, the broker, and the record of what happens."""

    timeline: Timeline
    draws: Chance
    broker: Broker
    trace: Trace
    tally: Tally = field(default_factory=Tally)
