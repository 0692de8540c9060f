"""Where a device stands and as what: which sites, roles and households are legal."""

from ansim.errors import BadInput
from ansim.schema import KEY_CHARS
from ansim_fw.core import event_reader

ROLES = ("pendant", "hub")


def checked_name(what: str, name: str) -> str:
    """Return name if it may stand in a topic.

    Raises:
        BadInput: it may not; what says which name it is.
    """
    if not (name.isascii() and event_reader.is_name(name)):
        raise BadInput(
            f"{what} {name[:40]!r} is not legal",
            f"Use 1 to {event_reader.MAX_NAME} of a-z, A-Z, 0-9, '_' and '-'.",
        )
    return name


def checked_role(role: str) -> str:
    """Return role if it is one of ROLES.

    Raises:
        BadInput: it is not.
    """
    if role not in ROLES:
        raise BadInput(f"role {role[:40]!r} is not known", f"It is one of: {', '.join(ROLES)}.")
    return role


def checked_household(text: str) -> str:
    """Return text if it may be what the city calls a home; empty: none is said.

    Raises:
        BadInput: it may not. A first letter like '=' would be a formula to a spreadsheet.
    """
    if text and not (len(text) <= KEY_CHARS and text.isprintable() and text[0].isalnum()):
        raise BadInput(
            f"household {text[:40]!r} is not legal",
            f"Use 1 to {KEY_CHARS} printable characters, the first a letter or a digit; never a person's name.",
        )
    return text
