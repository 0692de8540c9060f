"""How many events a second one receiver takes, and how long an alarm waits for its acknowledgement.

Everything is real and on this machine: nats-server, TLS, a receiver in its own process, SQLite with synchronous=FULL.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mqtt_device import MqttDevice, identity, make_home, trusting
from process_kit import next_line

from ansim.broker import Broker
from ansim.credentials import Authority
from ansim.event_stream import WAITING_PER_DEVICE
from ansim.home import Home
from figure import Figure

# 100,000 devices that are all back at once after an outage, each with one event, heard within a minute.
LEAST_EVENTS_PER_S = 1700
# A tenth of the bound on press -> acknowledged; the rest is the device's and the network's.
MOST_MEDIAN_MS = 15
PRESSES = 500
LOAD = 20_000
UNDER_WAY = WAITING_PER_DEVICE // 2
RUN = "from ansim.cli import main; main()"


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder) / "home")
        with Broker(home) as broker:
            receiver = start_receiver(home)
            try:
                waits_ms, events_per_s = _drive(home, broker.mqtt_port)
            finally:
                receiver.terminate()
                receiver.communicate(timeout=30)
    return [
        Figure("publish -> ack command, median", round(statistics.median(waits_ms), 1), "ms", MOST_MEDIAN_MS),
        Figure("publish -> ack command, 99th percentile", round(statistics.quantiles(waits_ms, n=100)[98], 1), "ms"),
        Figure("events acknowledged by one receiver", round(events_per_s), "/s", LEAST_EVENTS_PER_S, at_least=True),
    ]


def start_receiver(home: Home) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "receive", "--json"],
        env={**os.environ, "ANSIM_HOME": str(home.path), "ANSIM_DB": ""},
        stdout=subprocess.PIPE,
        text=True,
    )
    # Its first line says that it is ready; the others are not read, and it must not care.
    next_line(process)
    return process


def _drive(home: Home, port: int) -> tuple[list[float], float]:
    token = Authority.load(home).device_token(identity())
    with MqttDevice(port, trusting(home), token) as device:
        assert device.connack == 0 and device.subscribe()
        return _latencies_ms(device), _events_per_s(device)


def _alarm(seq: int) -> bytes:
    return f'{{"v":1,"boot":1,"seq":{seq},"type":"alarm","kind":"test","age_ms":5,"try":1}}'.encode()


def _latencies_ms(device: MqttDevice) -> list[float]:
    """Return for each of PRESSES alarms, one after another, the time from publish to the ack command."""
    found = []
    for seq in range(PRESSES):
        started = time.perf_counter()
        device.publish_only(_alarm(seq))
        command = device.command()
        found.append((time.perf_counter() - started) * 1000)
        assert command is not None and command["seq"] == seq
    return found


def _events_per_s(device: MqttDevice) -> float:
    """Return how fast LOAD alarms are acknowledged to a device that keeps UNDER_WAY of them under way."""
    started = time.perf_counter()
    sent, waiting = 0, set[int]()
    while sent < LOAD or waiting:
        while sent < LOAD and len(waiting) < UNDER_WAY:
            device.publish_only(_alarm(PRESSES + sent))
            waiting.add(PRESSES + sent)
            sent += 1
        command = device.command()
        assert command is not None, f"{len(waiting)} events were not acknowledged"
        waiting.discard(command["seq"])
    return LOAD / (time.perf_counter() - started)
