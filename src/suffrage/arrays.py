"""Names for the NumPy arrays that functions take and return."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
# Answers to an item: the position of the chosen option, or a negative kind of non-response.
PositionArray = npt.NDArray[np.int16]
# Votes on a statement: 1 agree, 0 pass, -1 disagree, and UNSEEN (-128) for no vote.
VoteArray = npt.NDArray[np.int8]
