"""How far the broker's archive is in the database: kept there, so that a backup of it knows what it lacks."""

from dataclasses import dataclass

import sqlalchemy as sa

from ansim.schema import archive_marks

_ID = 1


@dataclass(frozen=True)
class ArchiveMark:
    """A place in the archive.

    Args:
        archive: which one: a broker that lost its store has another.
        seq: of the last event before the place.
    """

    archive: str
    seq: int

    def is_past(self, other: "ArchiveMark | None") -> bool:
        """Tell whether this place is behind the other one; one in another archive always is."""
        return other is None or self.archive != other.archive or self.seq > other.seq


def find(connection: sa.Connection) -> ArchiveMark | None:
    row = connection.execute(sa.select(archive_marks.c.archive, archive_marks.c.seq)).first()
    return None if row is None else ArchiveMark(row.archive, row.seq)


def move(connection: sa.Connection, known: ArchiveMark | None, to: ArchiveMark) -> bool:
    """Move the mark on; several receivers do.

    Args:
        known: where it was when we looked last.

    Returns:
        False, and nothing is moved, when it is before that: the database was put back from a backup.
    """
    now = find(connection)
    if known is not None and known != now and known.is_past(now) and (now is None or now.archive == known.archive):
        return False
    if now is None:
        connection.execute(archive_marks.insert().values(id=_ID, archive=to.archive, seq=to.seq))
    elif to.is_past(now):
        connection.execute(archive_marks.update().values(archive=to.archive, seq=to.seq))
    return True
