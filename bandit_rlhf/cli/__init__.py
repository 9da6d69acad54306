"""The command line, `bandit-rlhf`: one module (or package) of this room a subcommand.

A subcommand defines `ABOUT`, the text of its help, `Options`, a frozen dataclass that tyro reads,
and `run(options) -> exit code`. It is entered in `main.COMMANDS`, and imported only when asked for.
"""
