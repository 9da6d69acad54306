"""The Goodhart lab: a world small enough to sum over, dials that spoil its proxy, exact curves.

`world` draws prompts, a reference and the parts of a gold reward; `dials` fits a proxy to
comparisons and says what it was fitted on; `curves` optimises any reward and measures every point
exactly. Nothing here is an experiment: those stand one floor up and share these parts.
"""
