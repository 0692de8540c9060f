"""A proof as lines for a person, the same when it ends and when it is read in the ledger."""

from collections.abc import Mapping
from typing import Any

_OUTCOMES = {True: "pass", False: "FAIL", None: "-"}


def lines(proof: Mapping[str, Any]) -> list[str]:
    """Return a line a phase.

    Args:
        proof: as Proof.as_dict has it; of an entry that something else wrote, what there is of it.
    """
    phases = proof.get("phases")
    return [_line(each) for each in phases if isinstance(each, dict)] if isinstance(phases, list) else []


def _line(phase: Mapping[str, Any]) -> str:
    passed = phase.get("passed")
    value = "not tried" if passed is None else phase.get("value", "")
    limit = f"  ({phase['limit']})" if phase.get("limit") and passed is not None else ""
    outcome = _OUTCOMES.get(passed if isinstance(passed, bool) else None, "-")
    return f"{outcome:<5} {phase.get('name', '?')!s:<9} {value}{limit}".rstrip()
