"""A station of its own for the races: enrols, provisions and passes devices, and says each thing once it is stored.

python registry_station.py URL NAME COUNT    so many MACs, the same at all stations, in an order of its own
"""

import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from ansim.database import DatabaseUnavailable
from ansim.nats_jwt import PublicPart
from ansim.registry import Registry

T = TypeVar("T")


def again(call: Callable[[], T]) -> T:
    """Call until the database takes it; the test has its own limit."""
    while True:
        try:
            return call()
        except DatabaseUnavailable:
            continue


def work(registry: Registry, number: int) -> None:
    mac = f"246f28{number:06x}"
    device = again(lambda: registry.enroll(mac, board="virtual", site="city", role="hub")).device
    print("enrolled", mac, device, flush=True)
    credential = PublicPart(f"U{number}", f"J{number}", datetime.now(UTC))
    generation = again(lambda: registry.issue(device, credential))
    print("issued", device, generation, flush=True)
    again(lambda: registry.record(device, "flash", "passed", {"generation": generation}, credential))
    print("passed", device, generation, flush=True)


def main(url: str, name: str, count: int) -> None:
    with again(lambda: Registry.open(url, name)) as registry:
        numbers = list(range(1, count + 1))
        random.shuffle(numbers)
        for number in numbers:
            work(registry, number)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
