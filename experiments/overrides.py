"""`--config.<field>` for each field of an experiment's Config, with the field's comment as help."""

import ast
import inspect
import io
import textwrap
import tokenize
from dataclasses import fields, make_dataclass
from typing import Annotated, Any, Literal, get_type_hints

import tyro

SWEPT = "swept"  # the default of every override: the value that the sweep gives


def overrides_type(config: type) -> type:
    """A dataclass with the fields of `config`, each of which may also be `swept`."""
    hints = get_type_hints(config)
    comments = field_comments(config)
    return make_dataclass(
        "Overrides",
        [
            (
                field.name,
                Annotated[hints[field.name] | Literal["swept"], tyro.conf.arg(help=comment)],
                SWEPT,
            )
            for field in fields(config)
            for comment in [comments[field.name]]
        ],
        frozen=True,
    )


def chosen(overrides: Any) -> dict[str, Any]:
    """The fields that were set on the command line."""
    values = {field.name: getattr(overrides, field.name) for field in fields(overrides)}
    return {name: value for name, value in values.items() if not _is_swept(value)}


def _is_swept(value: Any) -> bool:
    return isinstance(value, str) and value == SWEPT


def field_comments(config: type) -> dict[str, str]:
    """The comment of each field: at the end of its lines, else in the lines above it.

    Where the source cannot be read (a class made at run time) every comment is empty.
    """
    names = [field.name for field in fields(config)]
    try:
        source = textwrap.dedent(inspect.getsource(config))
    except (OSError, TypeError):
        return dict.fromkeys(names, "")
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    lines = source.splitlines()
    found = dict.fromkeys(names, "")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            first, last = node.lineno, node.end_lineno or node.lineno
            own = [comments[n] for n in range(first, last + 1) if n in comments]
            above: list[str] = []
            n = first - 1
            while n in comments and lines[n - 1].lstrip().startswith("#"):
                above.insert(0, comments[n])
                n -= 1
            found[node.target.id] = " ".join(own or above)
    return found
