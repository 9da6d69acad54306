r"""Files made from the registry: the page of theorems and the audit of their assumptions.

    python -m bandit_rlhf.theorems.pages        writes docs/theorems.md and proofs/Audit.v

>>> page(())[:11]
'# Theorems\n'
"""

from collections.abc import Sequence
from pathlib import Path

from bandit_rlhf.theorems.registry import Theorem, theorems

ROOT = Path(__file__).parents[2]
MADE = "made from `proofs/theorems.toml` by `python -m bandit_rlhf.theorems.pages`"


def page(rows: Sequence[Theorem]) -> str:
    """The page of theorems, in Markdown with LaTeX formulas."""
    lines = [
        "# Theorems",
        "",
        f"This page is {MADE}. `proofs/README.md` says how to read the statements in Coq.",
        "",
        "| | theorem | proof | laws |",
        "|---|---|---|---|",
    ]
    for row in rows:
        laws = ", ".join(name.partition(":")[2] for name in row.law)
        lines.append(f"| {row.id} | [{_title(row)}](#{_anchor(row)}) | {row.coq[0]} | {laws} |")
    for row in rows:
        lines += [
            "",
            f"## {row.id}. {_title(row)}",
            "",
            row.words.strip(),
            "",
            f"$${row.latex.strip()}$$",
            "",
            f"- Proof: {_code(row.coq)}",
            f"- An instance of the hypotheses: {_code(row.instances)}",
            f"- Code: {_code(row.code)}",
            f"- Laws: {_code(row.law)}",
            f"- Not covered: {row.gap.strip()}",
        ]
    return "\n".join(lines) + "\n"


def audit(rows: Sequence[Theorem]) -> str:
    """The Coq file that prints the assumptions of every registered theorem."""
    names = list(dict.fromkeys(name for row in rows for name in (*row.coq, *row.instances)))
    files = sorted({name.partition(".")[0] for name in names})
    lines = [
        "(** The assumptions of every registered theorem, printed one by one.",
        "",
        f"    This file is {MADE}.",
        "    tests/test_theorems.py reads what it prints. *)",
        "",
        *(f"From BanditRlhf Require {name}." for name in files),
        "From Coq Require Import String.",
        "Local Open Scope string_scope.",
        "",
    ]
    for name in names:
        lines += [f'Eval compute in "{name}".', f"Print Assumptions {name}."]
    return "\n".join(lines) + "\n"


def _title(row: Theorem) -> str:
    return row.name.replace("_", " ")


def _anchor(row: Theorem) -> str:
    return f"{row.id}-{row.name.replace('_', '-')}".lower()


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main() -> None:
    """Write both files."""
    (ROOT / "docs" / "theorems.md").write_text(page(theorems()), encoding="utf-8")
    (ROOT / "proofs" / "Audit.v").write_text(audit(theorems()), encoding="utf-8")


if __name__ == "__main__":
    main()
