"""
Array types: one dimension, one type of number.
"""

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
"""Whole numbers: ids, times in ns, prices and quantities in counts of 1e-8."""
F64 = npt.NDArray[np.float64]
"""Computed figures."""
Bools = npt.NDArray[np.bool_]
"""One truth value for each row."""
