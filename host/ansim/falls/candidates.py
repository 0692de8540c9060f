"""What there is to learn from: the windows in which the first stages saw something, and what they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ansim.falls.recordings import Recording
from ansim.falls.runner import Played


@dataclass(frozen=True)
class Candidates:
    """K windows that the detector judged, in the order of their recordings and of time.

    Args:
        features: K x F, as the detector computed them.
        recording: K indices into the recordings that they came from.
        subject: K, who moved; is_fall: K, whether the recording has a fall.
        at_s: K, when the window was judged, from the recording's beginning.
    """

    features: NDArray[np.int64]
    recording: NDArray[np.int64]
    subject: NDArray[np.str_]
    is_fall: NDArray[np.bool_]
    at_s: NDArray[np.float64]

    def chosen(self, mask: NDArray[np.bool_]) -> "Candidates":
        """Return those where mask (K) is true."""
        return Candidates(**{name: column[mask] for name, column in vars(self).items()})


def gather(recordings: Sequence[Recording], played: Sequence[Played]) -> Candidates:
    """Return the candidates of recordings that were played with candidates collected."""
    rows = [(i, each) for i, one in enumerate(played) for each in one.candidates]
    of = [recordings[i] for i, _ in rows]
    return Candidates(
        np.array([each.features for _, each in rows], np.int64),
        np.array([i for i, _ in rows], np.int64),
        np.array([each.subject for each in of]),
        np.array([each.is_fall for each in of], np.bool_),
        np.array([each.at_s for _, each in rows], np.float64),
    )
