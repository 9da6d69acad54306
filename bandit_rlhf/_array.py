"""Names for annotated arrays, free of charge at run time.

`Float[np.ndarray, "prompt string"]` says dtype kind and axes. With jaxtyping loaded beforehand, as
the tests do, beartype checks the annotations at every call; otherwise a light stand-in keeps
`import bandit_rlhf` from paying for the checker.
"""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Int, Shaped
else:

    class _Annotation:
        """Stand-in for a jaxtyping dtype: `Float[Array, axes]` is just `Array`."""

        def __class_getitem__(cls, item: tuple[type, str]) -> type:
            return item[0]

    Bool = Float = Int = Shaped = _Annotation

__all__ = ["Bool", "Float", "Int", "Shaped"]
