"""Subjects dealt out to folds; nobody is ever in two."""

import random
from collections.abc import Sequence

from ansim.errors import BadInput
from ansim.falls.recordings import Recording


def fold_of(recordings: Sequence[Recording], count: int, seed: int) -> dict[str, int]:
    """Return the fold of each subject, 0 to count - 1.

    Those who fall are dealt out first, then the others; by groups, each shuffled. So every fold has some of each kind,
    as far as there are enough.

    Raises:
        BadInput: there are fewer subjects than folds.
    """
    kinds: dict[str, tuple[bool, str]] = {}
    for each in recordings:
        fell = kinds.get(each.subject, (True,))[0]
        kinds[each.subject] = (fell and not each.is_fall, each.group)
    if len(kinds) < count:
        raise BadInput(f"{len(kinds)} subjects can't be dealt out to {count} folds", "Give fewer with --folds.")
    subjects = sorted(kinds)
    random.Random(seed).shuffle(subjects)
    subjects.sort(key=lambda subject: kinds[subject])
    return {subject: i % count for i, subject in enumerate(subjects)}
