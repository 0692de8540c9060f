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


class ArchiveProgress:
    """What one receiver knows of the archive and its mark. Pure: who asks broker and database is catch_up.py.

    Attributes:
        mark: where the mark is, as far as we know.
        until: the archive is to be compared, from the mark to here; what comes later is received. None: it is compared.
    """

    def __init__(self, until: ArchiveMark | None) -> None:
        self.mark: ArchiveMark | None = None
        self.until = until
        self._end: ArchiveMark | None = None

    def compared(self, mark: ArchiveMark | None) -> None:
        """All from mark, which the database had, to ``until`` is stored."""
        self.mark = mark
        self.until = None

    def ends(self, end: ArchiveMark) -> ArchiveMark | None:
        """Note where the archive ends while nothing waits; return where the mark is to be moved, if it is.

        That is where the archive ended the last time: what was to be stored by then is stored.
        """
        stored, self._end = self._end, end
        return stored if stored is not None and stored.is_past(self.mark) else None

    def moved(self, to: ArchiveMark, known: bool) -> None:
        """The mark was moved, or (not known) was found before where we had left it: put back from a backup."""
        if known:
            self.mark = to
        else:
            self.until = to


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
    if known is not None and (now is None or (now.archive == known.archive and now.seq < known.seq)):
        return False
    if now is None:
        connection.execute(archive_marks.insert().values(id=_ID, archive=to.archive, seq=to.seq))
    elif to.is_past(now):
        connection.execute(archive_marks.update().values(archive=to.archive, seq=to.seq))
    return True
