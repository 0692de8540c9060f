"""A station of its own for the races: fills a manifest with its boards, and says each thing once it is stored.

python manifest_station.py URL NAME FILE FIRST COUNT    so many boards, with MACs from FIRST on, in an order of its own
"""

import random
import sys
from datetime import UTC, datetime
from pathlib import Path

from registry_station import again

from ansim.manifest import Manifest
from ansim.manifest_file import load_manifest
from ansim.manifest_rows import ManifestFull
from ansim.nats_jwt import PublicPart
from ansim.registry import Registry


def work(registry: Registry, manifest: Manifest, number: int) -> None:
    mac = f"246f28{number:06x}"
    try:
        known = again(lambda: registry.assign(mac, manifest, board="virtual", role="hub"))
    except ManifestFull:
        print("full", mac, flush=True)
        return
    print("assigned", mac, known.device, known.place, flush=True)
    credential = PublicPart(f"U{number}", f"J{number}", datetime.now(UTC))
    generation = again(lambda: registry.issue(known.device, credential))
    again(lambda: registry.record(known.device, "flash", "passed", {"generation": generation}, credential))
    print("passed", known.device, flush=True)


def main(url: str, name: str, file: Path, first: int, count: int) -> None:
    manifest = load_manifest(file)
    with again(lambda: Registry.open(url, name)) as registry:
        again(lambda: registry.begin(manifest))
        numbers = list(range(first, first + count))
        random.shuffle(numbers)
        for number in numbers:
            work(registry, manifest, number)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
