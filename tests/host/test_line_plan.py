"""What a line leaves alone from its start: boards that are ready already."""

from datetime import UTC, datetime
from pathlib import Path

from database_kit import KINDS, database_url

from ansim.line.plan import done_before
from ansim.manifest import Manifest, Order
from ansim.nats_jwt import PublicPart
from ansim.registry import Registry

BOX = Manifest("box", (Order(2, "north", "hub", count=2),))
OTHER = Manifest("other", (Order(2, "east", "hub"),))
CREDENTIAL = PublicPart("UABC", "XYZ", datetime(2026, 1, 2, tzinfo=UTC))


def mac(number: int) -> str:
    return f"24:6f:28:00:00:{number:02x}"


def finish(registry: Registry, device: str) -> str:
    registry.issue(device, CREDENTIAL)
    registry.record(device, "flash", "passed", {}, CREDENTIAL)
    return device


def test_a_line_leaves_ready_boards_of_its_manifest_alone_and_one_without_a_manifest_those_of_all(
    tmp_path: Path,
) -> None:
    with Registry.open(database_url(KINDS[0], tmp_path)) as registry:
        boxed = [registry.assign(mac(number), BOX, board="virtual", role="hub").device for number in (1, 2)]
        finish(registry, boxed[0])
        other = finish(registry, registry.assign(mac(3), OTHER, board="virtual", role="hub").device)
        finish(registry, registry.enroll(mac(4), board="virtual", site="city", role="hub").device)
        assert done_before(registry, BOX) == {mac(1): boxed[0]}
        assert done_before(registry, None) == {mac(1): boxed[0], mac(3): other}
