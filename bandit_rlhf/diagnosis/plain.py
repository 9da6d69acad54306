"""Results as plain values: what JSON can hold."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(result: Any) -> Any:
    """A frozen result as dictionaries, lists, numbers and texts.

    Arrays become lists; NaN and infinities, which JSON lacks, None; names that are neither numbers
    nor texts become texts, tuples lists.

    Args:
        result: a dataclass of this package, or any part of one.

    Returns:
        Its fields by name.

    >>> from bandit_rlhf.diagnosis.intransitivity import FlowPart
    >>> plain(FlowPart(size=2.0, noise=float("nan"), p_value=1.0))
    {'size': 2.0, 'noise': None, 'p_value': 1.0}
    """
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        fields = dataclasses.fields(result)
        return {field.name: plain(getattr(result, field.name)) for field in fields}
    if isinstance(result, Mapping):
        return {str(key): plain(value) for key, value in result.items()}
    if isinstance(result, np.ndarray | np.generic):
        return plain(result.tolist())
    if isinstance(result, tuple | list | range):
        return [plain(part) for part in result]
    if isinstance(result, float):
        return result if math.isfinite(result) else None
    if result is None or isinstance(result, bool | int | str):
        return result
    return str(result)
