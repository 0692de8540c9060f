"""What a run of the chip costs, from a reset or a wake to the next sleep, in counts that hold for a chip, too."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansim.virtual.traffic import Traffic
from chip_kit import Bench, flash_content

COUNTS = {
    *("opens", "stats", "imports", "flash_reads", "flash_read_bytes", "programs", "programmed_bytes", "erases"),
    *("nvs_reads", "nvs_writes", "i2c_transfers", "i2c_bytes", "names", "connections"),
    *("sent_bytes", "received_bytes", "flights_out", "flights_in"),
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A chip in the raw REPL, in reach of a network, whose sleep is skipped."""
    files = {"one.py": "import two\n", "two.py": "x = 1\n", "bad.py": "import two; 1 // 0\n"}
    with Bench(tmp_path, flash_content(files), skips_sleep=True) as made:
        made.chip.air.set_network("home", "")
        made.chip.air.association_ms = 50
        made.chip.power_on()
        made.sees(">>> ")
        made.raw_repl()
        made.run("import machine, network, os, socket, sys, time, esp32")
        yield made


def ran(bench: Bench, program: str) -> dict[str, Any]:
    """Return what a program between two light sleeps cost."""
    bench.run("machine.lightsleep(1)")
    seen = len(bench.told("ran"))
    bench.run(f"{program}\nmachine.lightsleep(1)")
    found = bench.told("ran")[seen:]
    assert len(found) == 1
    return found[0]


def counted(run: dict[str, Any], *names: str) -> dict[str, int]:
    """Return those counts; all others must be 0, but for reads of the flash."""
    assert run.keys() >= COUNTS
    free = {*names, "flash_reads", "flash_read_bytes"}
    assert {name: run[name] for name in COUNTS - free if run[name]} == {}
    return {name: run[name] for name in names}


def test_a_run_in_which_nothing_is_done_costs_nothing(bench: Bench) -> None:
    run = ran(bench, "pass")
    assert counted(run) == {}
    assert run["flash_reads"] == run["flash_read_bytes"] == 0
    assert (run["began"], run["wake"], run["ended"]) == ("light_sleep", 4, "light_sleep")


def test_files_that_are_opened_and_looked_up(bench: Bench) -> None:
    run = ran(bench, "os.stat('one.py')\nopen('one.py').close()\nopen('two.py', 'rb').close()")
    assert counted(run, "opens", "stats") == {"opens": 2, "stats": 1}
    assert run["flash_read_bytes"] > run["flash_reads"] > 0


def test_modules_that_are_loaded_and_only_those(bench: Bench) -> None:
    first = ran(bench, "import one, gc, time")
    assert counted(first, "opens", "imports") == {"opens": 2, "imports": 2}
    again = ran(bench, "import one\nfrom two import x")
    assert counted(again) == {}
    dropped = ran(bench, "sys.modules.pop('two')\nimport two")
    assert counted(dropped, "opens", "imports") == {"opens": 1, "imports": 1}


def test_a_module_that_fails_is_loaded_again_each_time(bench: Bench) -> None:
    attempt = "try: import bad\nexcept ZeroDivisionError: pass"
    assert ran(bench, attempt)["imports"] == 1, "the one that it imported"
    assert counted(ran(bench, "import two")) == {}


def test_a_module_of_a_mounted_filesystem_opens_no_file_in_the_flash(bench: Bench) -> None:
    bench.run(
        "import io, vfs\nclass Pack:\n"
        "  def mount(self, readonly, mkfs): pass\n"
        "  def stat(self, path):\n"
        "    if path == '/inner.py': return (0x8000,) + (0,) * 9\n"
        "    raise OSError(2)\n"
        "  def open(self, path, mode): return io.BytesIO(b'import two; y = 2')\n"
        "vfs.mount(Pack(), '/pack'); sys.path.append('/pack')"
    )
    assert counted(ran(bench, "import inner"), "opens", "imports") == {"opens": 1, "imports": 2}
    assert bench.run("print(inner.y)") == "2\n"


def test_what_is_written_and_kept(bench: Bench) -> None:
    run = ran(bench, "f = open('note', 'w'); f.write('x' * 5000); f.close()")
    found = counted(run, "opens", "programs", "programmed_bytes", "erases")
    assert found["opens"] == 1
    assert found["programmed_bytes"] >= 5000
    assert found["programs"] >= 2 <= found["erases"]
    bench.run("n = esp32.NVS('test')")
    kept = ran(bench, "n.set_i32('a', 1); n.get_i32('a'); n.get_i32('a')")
    assert kept["nvs_writes"] == 1
    assert kept["nvs_reads"] == 2


def test_transfers_on_the_bus(bench: Bench) -> None:
    bench.run("bus = machine.I2C(0)")
    run = ran(bench, "bus.readfrom_mem(0x19, 0x0F, 6); bus.writeto_mem(0x19, 0x20, b'\\x44')")
    assert counted(run, "i2c_transfers", "i2c_bytes") == {"i2c_transfers": 3, "i2c_bytes": 1 + 6 + 2}


def test_the_chip_s_time_by_what_it_was_spent_in(bench: Bench) -> None:
    bench.run("machine.lightsleep(7000)")
    before = figures(bench)["total"]
    bench.run("w = network.WLAN(); time.sleep_ms(300); w.active(True); time.sleep_ms(500); w.active(False)")
    bench.run("machine.lightsleep(50000)")
    after = figures(bench)["total"]
    spent = {name: after[name] - before[name] for name in ("deep_ms", "light_ms", "cpu_ms", "radio_ms", "off_ms")}
    assert spent["deep_ms"] == spent["off_ms"] == 0
    assert 49_990 <= spent["light_ms"] < 51_000
    assert 490 <= spent["radio_ms"] < 20_000
    assert spent["cpu_ms"] >= 290


def figures(bench: Bench) -> dict[str, Any]:
    return bench.chip.run_figures()


def test_a_connection_with_its_bytes_and_flights(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        threading.Thread(target=answer_twice, args=(server,), daemon=True).start()
        bench.run("w = network.WLAN(); w.active(True); w.connect('home')")
        bench.until(lambda: bench.run("print(w.isconnected())") == "True\n", "connection")
        bench.run(
            f"s = socket.socket(); s.connect(socket.getaddrinfo('localhost', {port})[0][-1])\n"
            "s.send(b'one'); s.recv(3); s.send(b'three'); s.recv(3); s.close()"
        )
        run = bench.until(lambda: figures(bench)["run"])
        wanted = {"names": 1, "connections": 1, "sent_bytes": 8, "received_bytes": 6, "flights_out": 2, "flights_in": 2}
        assert {name: run[name] for name in wanted} == wanted
        connection = figures(bench)["connections"][-1]
        assert connection.pop("to") == f"127.0.0.1:{port}"
        assert connection == {name: count for name, count in wanted.items() if name not in ("names", "connections")}
        marks = run["marks"]
        assert [name for name in marks if name != "main"] == ["radio", "joined", "connected", "flight1", "flight2"]
        assert "sent_bytes" not in marks["flight1"]
        assert marks["flight2"]["sent_bytes"] == 3


def answer_twice(server: socket.socket) -> None:
    client, _ = server.accept()
    with client:
        for size in (3, 5):
            client.recv(size)
            client.sendall(b"yes")
        client.recv(1)


def test_segments_one_after_the_other_are_one_flight() -> None:
    traffic = Traffic()
    connection = traffic.connected("here:1")
    for size, out in ((5, True), (7, True), (1, False), (1, False), (2, True)):
        traffic.carried(connection, size, out)
    found = traffic.figures()
    assert (found["flights_out"], found["flights_in"]) == (2, 1)
    assert (found["sent_bytes"], found["received_bytes"]) == (14, 2)


def test_a_run_from_deep_sleep_to_deep_sleep_and_how_each_began(tmp_path: Path) -> None:
    program = (
        "import machine\nif machine.reset_cause() == 4: open('main.py').close()\n"
        "machine.WDT(timeout=5000)\nf = open('x', 'w'); f.write('x'); f.close()\nmachine.deepsleep(60000)"
    )
    with Bench(tmp_path, flash_content({"main.py": program}), skips_sleep=True) as bench:
        bench.chip.power_on()
        bench.until(lambda: len(bench.told("ran")) >= 4)
        bench.chip.power_off()
        first, second, third = bench.told("ran")[:3]
        assert (first["began"], first["ended"]) == ("power_on", "deep_sleep")
        for run in (second, third):
            assert (run["began"], run["wake"], run["ended"]) == ("deep_sleep", 4, "deep_sleep")
            assert (run["opens"], run["stats"]) == (3, 2), "main.py, main.py again, x; boot.py and main.py looked for"
            assert run["cpu_ms"] > 0 and run["deep_ms"] == 0
            marks = run["marks"]
            assert isinstance(marks, dict) and list(marks) == ["main", "watchdog", "program"]
            assert marks["watchdog"]["opens"] == 2
            assert marks["program"]["opens"] == 3
        assert bench.told("ran")[-1]["ended"] in ("off", "deep_sleep")
        total = figures(bench)
        assert total["began"]["power_on"] == 1
        assert total["total"]["deep_ms"] >= 60_000 * (total["began"]["deep_sleep"] - 1)


def test_what_ends_a_run_without_sleep(bench: Bench) -> None:
    bench.chip.write(b"machine.reset()\x04")
    bench.until(lambda: bench.told("ran"))
    bench.chip.power_off()
    assert [run["ended"] for run in bench.told("ran")] == ["software", "off"]
