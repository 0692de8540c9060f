"""What a home's database has."""

from contextlib import closing

import sqlalchemy as sa

from ansim.database import Database
from ansim.home import Home
from ansim.schema import events


def stored_ids(home: Home) -> set[tuple[str, int, int]]:
    """Return the ids (device, boot, seq) of all events but heartbeats; a row each, by the table's key."""
    query = sa.select(events.c.device, events.c.boot, events.c.seq).where(events.c.type != "heartbeat")
    with closing(Database.open(home.database_url)) as database, database.reading() as connection:
        return {(row.device, row.boot, row.seq) for row in connection.execute(query)}


def repeated_deliveries(home: Home) -> int:
    """Return how often an event was delivered that was stored already."""
    query = sa.select(sa.func.coalesce(sa.func.sum(events.c.deliveries - 1), 0))
    with closing(Database.open(home.database_url)) as database, database.reading() as connection:
        return int(connection.execute(query).scalar_one())
