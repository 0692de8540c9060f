"""ansim label: which devices get a label, where it goes, and numbers that somebody read from one."""

import json
import os
import resource
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from label_kit import pages, printed, scanned, words

from ansim.cli import main
from ansim.errors import BadInput
from ansim.home import Home
from ansim.label.output import write
from ansim.label.selection import MAX_LABELS
from ansim.manifest import Manifest, Order
from ansim.registry import Registry
from ansim.schema import devices

WORKS, NOT_READY, RETIRED, OTHER_SITE = "AN000001", "AN000002", "AN000003", "AN000004"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def told(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture
def fleet(home: Home) -> Home:
    """Four devices: one that works, one that is not finished, one out of service, one that works elsewhere."""
    home.path.mkdir(mode=0o700)
    with Registry.open(home.database_url) as registry:
        for number, site in enumerate(("seoul-01", "seoul-01", "seoul-01", "busan-02"), 1):
            mac = f"24:6f:28:00:00:0{number}"
            registry.enroll(mac, board="virtual", site=site, role="pendant", household="jongno-17")
        for device in (WORKS, RETIRED, OTHER_SITE):
            registry.record(device, "flash", "passed")
        registry.retire(RETIRED, "broken")
    return home


@pytest.fixture
def label(fleet: Home, capsys: pytest.CaptureFixture[str]) -> Run:
    del fleet

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["label", *map(str, arguments)])
        said = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), said.out, said.err)

    return run


def test_a_label_goes_into_a_pdf_and_says_how_to_print_it(label: Run, tmp_path: Path) -> None:
    done = label(WORKS, "-o", tmp_path / "a.pdf")
    assert done.code == 0
    assert "1 label, avery-l7651" in done.err
    assert "actual size" in done.err
    assert [scanned(page) for page in pages((tmp_path / "a.pdf").read_bytes())] == [["AN000001-R"]]


def test_the_number_of_a_label_names_its_device(label: Run, tmp_path: Path) -> None:
    assert label("an 000 001-r", "-o", tmp_path / "a.pdf").code == 0
    wrong = label("AN000001-T", "-o", tmp_path / "b.pdf")
    assert wrong.code == 2
    assert "AN000001-T is the number of no device" in wrong.err
    assert not (tmp_path / "b.pdf").exists()


def test_a_range_leaves_out_and_names_what_is_not_ready(label: Run, tmp_path: Path) -> None:
    told = label("AN000001..AN000004", "-o", tmp_path / "a.zpl", "--json").told
    assert told["ok"]
    assert told["kind"] == "zpl"
    assert told["labels"] == {WORKS: "AN000001-R", OTHER_SITE: "AN000004-G"}
    assert told["left_out"] == [NOT_READY, RETIRED]
    assert NOT_READY in label("--all", "-o", tmp_path / "a.zpl").err


def test_a_site_gets_its_own_devices_only(label: Run, tmp_path: Path) -> None:
    told = label("--site", "busan-02", "-o", tmp_path / "a.pdf", "--json").told
    assert list(told["labels"]) == [OTHER_SITE]


@pytest.mark.parametrize(("device", "state"), [(NOT_READY, "unfinished"), (RETIRED, "retired")])
def test_a_device_that_is_not_proven_gets_no_label(label: Run, tmp_path: Path, device: str, state: str) -> None:
    refused = label(device, "-o", tmp_path / "a.pdf")
    assert refused.code == 2
    assert f"{device} gets no label: it is {state}" in refused.err
    assert f"ansim registry show {device}" in refused.err


def test_a_file_for_a_printer_has_the_labels_that_were_asked_for(label: Run, tmp_path: Path) -> None:
    chosen = ("--format", "roll-40x20", "--dpi", 300, "--language", "ko", "--text", "02-1234-5678")
    assert label(WORKS, OTHER_SITE, "-o", tmp_path / "a.zpl", *chosen).code == 0
    out = printed((tmp_path / "a.zpl").read_bytes(), 300)
    assert [scanned(each) for each in out] == [["AN000001-R"], ["AN000004-G"]]
    assert out[0].size == (472, 236)


def test_labels_alone_go_to_stdout(label: Run) -> None:
    done = label(WORKS, "-o", "-")
    assert [scanned(each) for each in printed(done.out.encode("ascii"), 203)] == [["AN000001-R"]]
    assert "1 label, roll-50x30" in done.err


def test_a_printer_is_known_by_its_device_and_takes_zpl(label: Run) -> None:
    assert label(WORKS, "-o", "/dev/null", "--json").told["kind"] == "zpl"


def test_the_same_day_gives_the_same_bytes(label: Run, tmp_path: Path) -> None:
    for name in ("a.pdf", "b.pdf", "c.pdf"):
        label("--all", "-o", tmp_path / name, "--date", "2026-11-23" if name == "c.pdf" else "2026-11-22")
    first, second, other = ((tmp_path / name).read_bytes() for name in ("a.pdf", "b.pdf", "c.pdf"))
    assert first == second != other


def test_neither_a_home_nor_a_key_is_in_a_label(label: Run, tmp_path: Path) -> None:
    label(WORKS, "-o", tmp_path / "a.pdf", "--format", "avery-l7160", "--date", "2026-11-22")
    assert sorted(words((tmp_path / "a.pdf").read_bytes()).split("\r\n")) == sorted(
        [
            "AN 000 001-R",
            "응급호출기",
            "Emergency pendant",
            "24:6f:28:00:00:01",
            "seoul-01 · 2026-11-22",
            "virtual",
            "기기 번호 · Device number",
        ]
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((WORKS,), "where the labels go"),
        ((WORKS, "-o", "a.txt"), "what to write into a.txt"),
        (("-o", "a.pdf"), "which devices"),
        ((WORKS, "--all", "-o", "a.pdf"), "which devices"),
        (("--site", "nowhere", "-o", "a.pdf"), "no device that is asked for is ready"),
        (("AN000004..AN000001", "-o", "a.pdf"), "holds no device"),
        (("AN000009", "-o", "a.pdf"), "no device 'AN000009'"),
        ((WORKS, "-o", "a.pdf", "-f", "avery-7651"), "did you mean 'avery-l7651'"),
        ((WORKS, "-o", "a.zpl", "-f", "avery-l7651"), "ZPL is for rolls"),
        ((WORKS, "-o", "a.pdf", "--skip", "65"), "leaves no label"),
        ((WORKS, "-o", "a.zpl", "--skip", "1"), "leaves no label"),
        ((WORKS, "-o", "no/such/folder/a.pdf"), "can't write no/such/folder/a.pdf"),
        ((WORKS, "-o", "-", "--json"), "can't both go to stdout"),
        (("--check",), "no number to check"),
    ],
)
def test_what_does_not_go_together_is_refused_with_a_way_out(
    label: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = label(*arguments)
    said = refused.err + refused.out
    assert refused.code == 2
    assert problem in " ".join(said.split())
    assert "Next:" in said or json.loads(refused.out)["hint"]
    assert not any(tmp_path.glob("a.*"))


def test_more_than_a_file_takes_is_refused(label: Run, fleet: Home, tmp_path: Path) -> None:
    rows = [
        {
            "number": number,
            "device": f"AN{number:06d}",
            "mac": f"24:6f:28:01:{number >> 8:02x}:{number & 255:02x}",
            "board": "virtual",
            "site": "city",
            "role": "hub",
            "state": "ready",
            "enrolled_at": datetime(2026, 1, 2, tzinfo=UTC),
        }
        for number in range(10, 11 + MAX_LABELS)
    ]
    engine = sa.create_engine(fleet.database_url)
    with engine.begin() as connection:
        connection.execute(devices.insert(), rows)
    engine.dispose()
    refused = label("--site", "city", "-o", tmp_path / "a.pdf")
    assert refused.code == 2
    assert f"{MAX_LABELS + 1} labels are more than {MAX_LABELS}" in refused.err


def test_a_device_that_is_named_twice_gets_one_label(label: Run, tmp_path: Path) -> None:
    label(WORKS, "an 000 001-r", f"{WORKS}..{WORKS}", "-o", tmp_path / "a.zpl")
    assert len(printed((tmp_path / "a.zpl").read_bytes(), 203)) == 1


def test_the_devices_of_a_manifest_get_labels_by_their_places(label: Run, fleet: Home, tmp_path: Path) -> None:
    box = Manifest("box", (Order(2, "seoul-01", count=3),))
    with Registry.open(fleet.database_url) as registry:
        for number in (6, 5, 7):
            mac = f"24:6f:28:00:00:{number:02x}"
            named = registry.assign(mac, box, board="virtual", role="pendant").device
            registry.record(named, "flash", "passed" if number != 7 else "failed")
        registry.replace("AN000005", WORKS, "broken")
    told = label("--manifest", "box", "-o", tmp_path / "a.pdf", "--json").told
    assert (list(told["labels"]), told["left_out"]) == ([WORKS, "AN000006"], ["AN000007"])
    refused = label("--manifest", "bx", "-o", tmp_path / "a.pdf")
    assert refused.code == 2
    assert "no manifest 'bx'" in refused.err


def test_the_ledger_says_which_labels_were_printed_and_where(label: Run, fleet: Home, tmp_path: Path) -> None:
    label("--all", "-o", tmp_path / "a.pdf", "--station", "desk-3")
    with Registry.open(fleet.database_url) as registry:
        entries = [entry for entry in registry.history() if entry.action == "label"]
        assert registry.verify().devices == 4
    assert [(entry.device, entry.station, entry.result) for entry in entries] == [
        (WORKS, "desk-3", "printed"),
        (OTHER_SITE, "desk-3", "printed"),
    ]
    assert entries[0].details == {"kind": "pdf", "format": "avery-l7651"}


def test_labels_that_the_ledger_can_not_keep_are_told(label: Run, fleet: Home, tmp_path: Path) -> None:
    engine = sa.create_engine(fleet.database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER ledger_head_stays")
        connection.exec_driver_sql("DELETE FROM ledger_head")
    engine.dispose()
    failed = label(WORKS, "-o", tmp_path / "a.pdf")
    assert failed.code == 5
    assert "but the ledger does not know" in " ".join(failed.err.split())
    assert (tmp_path / "a.pdf").exists()


def test_a_file_of_labels_is_there_whole_or_as_it_was_before(tmp_path: Path) -> None:
    made = tmp_path / "a.pdf"
    write(made, b"labels of yesterday")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(BadInput, match=f"can't write {made}: File too large"):
            write(made, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a.pdf", b"labels of yesterday")]


def test_a_file_that_is_a_link_stays_one_and_others_may_read_it_as_they_may_any(tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to(tmp_path / "there.pdf")
    before = os.umask(0o027)
    try:
        write(tmp_path / "here", b"labels")
    finally:
        os.umask(before)
    assert (tmp_path / "here").is_symlink()
    assert (tmp_path / "there.pdf").read_bytes() == b"labels"
    assert stat.S_IMODE((tmp_path / "there.pdf").stat().st_mode) == 0o640


def test_numbers_that_were_read_are_checked_without_a_registry(label: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIM_DB", "postgresql://nowhere.invalid/none")
    assert label("--check", "an 000 123 p", "AN000124-D", "--json").told == {
        "ok": True,
        "devices": ["AN000123", "AN000124"],
    }
    wrong = label("--check", "AN000123-P", "AN000132-P", "AN00012-P")
    assert wrong.code == 2
    said = " ".join(wrong.err.split())
    assert "AN000132-P is the number of no device" in said
    assert "'AN00012-P' is no serial number" in said
    assert "AN000123-P is" not in said


def test_the_formats_are_listed(label: Run) -> None:
    assert "65 labels of 38.1 x 21.2 mm" in label("--list-formats").out
    assert "roll-50x30" in label("--list-formats", "--json").told
