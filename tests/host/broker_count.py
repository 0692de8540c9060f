"""How many devices a broker has, by its own record."""

import asyncio
import json
import re
import ssl
from datetime import datetime

from nats.aio.client import Client, RawCredentials

from ansim import nats_jwt, secret_files
from ansim.credentials import load_ca
from ansim.event_stream import leave
from ansim.home import Home
from ansim.key_files import account_signer, operator

_PAGE = 1000
_ANSWER_S = 20
_COUNTER = "counter.nk"
_FRACTION = re.compile(r"\.\d+")


def accepted_ms(home: Home, client_port: int) -> list[int]:
    """Return when the broker took each MQTT connection that it has now, by its own record, in ms since 1970.

    Raises:
        TimeoutError: the broker does not answer.
    """
    return asyncio.run(_accepted_ms(home, client_port))


async def _accepted_ms(home: Home, client_port: int) -> list[int]:
    client = Client()
    async with asyncio.timeout(_ANSWER_S):
        await client.connect(
            f"tls://localhost:{client_port}",
            user_credentials=RawCredentials(_system_credentials(home)),
            tls=ssl.create_default_context(cadata=load_ca(home)),
            # Where a TLS handshake takes longer, nats-py waits for ever for the end of what never was a connection.
            connect_timeout=_ANSWER_S,
        )
    try:
        return [_to_ms(one["start"]) for one in await _connections(client) if one.get("type") == "mqtt"]
    finally:
        await leave(client)


async def _connections(client: Client) -> "list[dict[str, str]]":
    found: list[dict[str, str]] = []
    while True:
        asked = json.dumps({"offset": len(found), "limit": _PAGE, "sort": "cid"}).encode()
        answer = await client.request("$SYS.REQ.SERVER.PING.CONNZ", asked, timeout=_ANSWER_S)
        page = json.loads(answer.data)["data"]["connections"]
        found += page
        if len(page) < _PAGE:
            return found


def let_count(home: Home) -> None:
    """Give the server's own account a key that signs users, which a fleet's has not; before its broker starts."""
    path = home.keys / "system.jwt"
    of = operator(home)
    claims = nats_jwt.verified(path.read_text(), of.signers)
    signer = account_signer(home, of)
    assert signer is not None
    counter = nats_jwt.KeyPair.generate(nats_jwt.ACCOUNT)
    secret_files.create(home.keys / _COUNTER, counter.seed)
    nats = {**claims["nats"], "signing_keys": [counter.public]}
    secret_files.replace(path, nats_jwt.encode(signer, claims["sub"], "system", nats).encode())


def _system_credentials(home: Home) -> str:
    """Return credentials that may ask the broker about its connections; the home is one after let_count."""
    system = nats_jwt.KeyPair(secret_files.read(home.keys / "system.nk").strip())
    counter = nats_jwt.KeyPair(secret_files.read(home.keys / _COUNTER).strip())
    user = nats_jwt.KeyPair.generate(nats_jwt.USER)
    limits = {"subs": -1, "data": -1, "payload": -1}
    claims = {"pub": {}, "sub": {}, **limits, "issuer_account": system.public, "type": "user"}
    token = nats_jwt.encode(counter, user.public, "count", claims)
    return (
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
    )


def _to_ms(text: str) -> int:
    """Return Go's RFC 3339 time, which has up to nine digits of a second, as milliseconds since 1970."""
    fraction = _FRACTION.search(text)
    digits = fraction[0][1:4].ljust(3, "0") if fraction else "000"
    whole = datetime.fromisoformat(_FRACTION.sub("", text).replace("Z", "+00:00"))
    return int(whole.timestamp()) * 1000 + int(digits)
