"""Names of items as they stand in a figure."""

from collections.abc import Hashable

LONGEST = 34
"""Characters; a longer name loses its middle, as beginning and end tell versions apart."""


def short_name(item: Hashable, longest: int = LONGEST) -> str:
    r"""An item's name on one line; of (prompt, item), both.

    >>> short_name(("weather", "tea")), short_name("a-name-that-says-far-too-much", 13)
    ('weather: tea', 'a-name…o-much')
    >>> short_name("two\nlines cost $5")
    'two lines cost \\$5'
    """
    text = ": ".join(map(str, item)) if isinstance(item, tuple) else str(item)
    text = " ".join(text.split())
    if len(text) > longest:
        head = longest // 2
        text = f"{text[:head]}…{text[head + 1 - longest :]}"
    return text.replace("$", r"\$")  # matplotlib would take two of them for a formula
