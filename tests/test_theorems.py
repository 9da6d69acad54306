"""Theorem = code = law: every leg of every row resolves, and Coq has checked what is claimed."""

import importlib
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from bandit_rlhf.cli.main import main
from bandit_rlhf.laws import suite
from bandit_rlhf.theorems import Theorem, of_law, pages, theorem, theorems
from bandit_rlhf.theorems.registry import rows

ROOT = Path(__file__).parents[1]
PROOFS = ROOT / "proofs"
ALLOWED = {
    "propositional_extensionality",
    "functional_extensionality_dep",
    "constructive_indefinite_description",
}
"""The axioms of MathComp-Analysis' classical logic, by name."""
STATED = re.compile(r"^\s*(?:Theorem|Lemma|Corollary|Fact|Example)\s+(\w+)", re.MULTILINE)
FORBIDDEN = re.compile(
    r"\b(?:Admitted|admit|Axiom|Axioms|Parameter|Parameters|Conjecture|Abort|Unset\s+Guard)\b"
)
COMMENT = re.compile(r"\(\*.*?\*\)", re.DOTALL)


def stated() -> set[str]:
    """Every theorem of the proofs, as "File.name"."""
    return {
        f"{path.stem}.{name}"
        for path in PROOFS.glob("*.v")
        for name in STATED.findall(COMMENT.sub("", path.read_text()))
    }


def broken_legs(table: Iterable[Theorem]) -> list[str]:
    """What does not resolve."""
    known, found = stated(), []
    laws = {f"{law.kind}:{law.id}": law for law in suite.laws()}
    for row in table:
        found += [f"{row.id}: no {name} in Coq" for name in row.coq if name not in known]
        found += [f"{row.id}: no {name} in Coq" for name in row.instances if name not in known]
        for name in row.code:
            module, _, path = name.partition(":")
            try:
                value = importlib.import_module(module)
                for part in path.split("."):
                    value = getattr(value, part)
            except (ImportError, AttributeError):
                found.append(f"{row.id}: no {name} in Python")
        for name in row.law:
            if name not in laws:
                found.append(f"{row.id}: no law {name}")
            elif row.id not in laws[name].theorem:
                found.append(f"{row.id}: law {name} does not name it back")
    return found


def test_every_leg_of_every_row_resolves() -> None:
    assert broken_legs(theorems()) == []


def test_at_least_38_theorems_have_all_legs() -> None:
    whole = [row for row in theorems() if row.coq and row.code and row.law and row.instances]
    assert len(whole) >= 38
    assert {str(n) for n in range(1, 37)} <= {row.id for row in theorems()}


def test_control_a_false_row_is_caught() -> None:
    row = theorem("3")
    for leg in (
        {"coq": ("Gradient.no_such_theorem",)},
        {"instances": ("Gradient.no_such_instance",)},
        {"code": ("bandit_rlhf.advantage:no_such_function",)},
        {"law": ("advantage:A99",)},
        {"law": ("advantage:A2",)},  # exists, and names no theorem
    ):
        assert len(broken_legs([replace(row, **leg)])) == 1, leg


def test_every_law_names_a_theorem_that_names_it_back_or_says_why_not() -> None:
    known = {row.id: row for row in theorems()}
    for law in suite.laws():
        where = f"{law.kind}:{law.id}"
        assert bool(law.theorem) != bool(law.why_no_theorem), where
        for number in law.theorem:
            assert number in known, (where, number)
            assert where in known[number].law, (where, number)
        assert {row.id for row in of_law(law.kind, law.id)} == set(law.theorem), where


def test_no_gap_is_hidden_in_the_proofs() -> None:
    files = sorted(PROOFS.glob("*.v"))
    assert len(files) >= 13
    for path in files:
        text = COMMENT.sub("", path.read_text())
        assert FORBIDDEN.findall(text) == [], path.name
    assert FORBIDDEN.findall("Lemma x : False. Admitted.") == ["Admitted"]  # the control
    listed = (PROOFS / "_CoqProject").read_text().split()
    assert {path.name for path in files} <= set(listed)


def test_every_registered_theorem_has_a_comment_that_says_its_number() -> None:
    texts = {path.stem: path.read_text() for path in PROOFS.glob("*.v")}
    for row in theorems():
        file, _, _ = row.coq[0].partition(".")
        assert re.search(rf"Theorem {row.id}\b", texts[file]), (row.id, file)


def test_docstrings_cite_theorems_that_exist() -> None:
    known, cited = {row.id for row in theorems()}, 0
    for path in (ROOT / "bandit_rlhf").rglob("*.py"):
        for numbers in re.findall(r"[Tt]heorems? ((?:\d+(?:, | and | to )?)+)", path.read_text()):
            if path.parent.name != "theorems":
                found = set(re.findall(r"\d+", numbers))
                assert found <= known | {"5.1"}, (path, numbers)
                cited += len(found)
    assert cited > 50


# Coq's own word


@pytest.fixture(scope="module")
def audited() -> dict[str, str]:
    """What Coq prints of the assumptions of each registered theorem."""
    coqc = shutil.which("coqc")
    if coqc is None:
        pytest.skip("coqc is not on the path: `make proofs` says what to install")
    done = subprocess.run(
        [coqc, "-Q", ".", "BanditRlhf", "-w", "none", "Audit.v"],
        cwd=PROOFS,
        capture_output=True,
        text=True,
        check=False,
        timeout=850,
    )
    assert done.returncode == 0, done.stderr
    return assumptions(done.stdout)


def assumptions(printed: str) -> dict[str, str]:
    """Coq's output of the audit, by theorem."""
    parts = re.split(r'^\s*= "([\w.]+)"\n\s*: string\n', printed, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def axioms(text: str) -> set[str]:
    """The last names of the axioms in one answer."""
    if "Closed under the global context" in text:
        return set()
    names = re.findall(r"^([\w.]+)\s*:", text.partition("Axioms:")[2], re.MULTILINE)
    return {name.rpartition(".")[2] for name in names}


@pytest.mark.timeout(900)  # Coq walks every proof, for minutes on a busy machine
def test_only_classical_axioms_are_assumed(audited: dict[str, str]) -> None:
    names = {name for row in theorems() for name in (*row.coq, *row.instances)}
    assert set(audited) == names
    for name, text in audited.items():
        assert axioms(text) <= ALLOWED, (name, axioms(text))
    assert any(axioms(text) for text in audited.values())  # some do use classical logic


def test_control_an_assumption_is_read() -> None:
    answer = '     = "Goodhart.gain"\n     : string\nAxioms:\nGoodhart.magic : False\n'
    assert axioms(assumptions(answer)["Goodhart.gain"]) == {"magic"}
    closed = '     = "A.b"\n     : string\nClosed under the global context\n'
    assert axioms(assumptions(closed)["A.b"]) == set()


def test_made_files_are_up_to_date() -> None:
    assert (ROOT / "docs" / "theorems.md").read_text() == pages.page(theorems())
    assert (PROOFS / "Audit.v").read_text() == pages.audit(theorems())


# The registry and its commands


def test_rows_are_judged() -> None:
    table = tomllib.loads((PROOFS / "theorems.toml").read_text())["theorem"]
    with pytest.raises(ValueError, match="theorem '1' lacks gap"):
        rows([{**table[0], "gap": ""}])
    with pytest.raises(ValueError, match="theorem '1' has proof, but should be made of id"):
        rows([{**table[0], "proof": "x"}])
    with pytest.raises(ValueError, match="id '1' stands twice"):
        rows([table[0], {**table[0], "name": "other"}])


def test_the_command_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["theorems", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert len(listed) == len(theorems())
    assert {"id", "name", "words", "latex", "coq", "code", "law", "gap"} <= set(listed[0])
    assert main(["theorems"]) == 0
    assert f"{len(listed)} theorems" in capsys.readouterr().out


def test_explaining_goes_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "3"]) == 0
    said = capsys.readouterr().out
    assert "Theorem 3" in said
    assert "advantage:A1" in said
    assert main(["explain", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "3"
    assert main(["explain", "A1"]) == 0
    said = capsys.readouterr().out
    assert "theorem 3: " in said
    assert theorem("3").coq[0] in said
    assert main(["explain", "333"]) == 2
    assert "should be an id or a name" in capsys.readouterr().err
