"""Documents keep their word: examples run, links lead somewhere, commands exist."""

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
MAKE_TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def python_examples(text: str) -> str:
    """Every ```python block, in order: one story told in one namespace."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


def run_examples(text: str, name: str) -> doctest.TestResults:
    """Run a document's Python: prompts (>>>) as doctests, plain programs as they stand."""
    source = python_examples(text)
    if ">>>" not in source:
        exec(compile(source, name, "exec"), {"__name__": "__main__"})
        return doctest.TestResults(failed=0, attempted=bool(source))
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    story = doctest.DocTestParser().get_doctest(source, {}, name, name, 0)
    return doctest.DocTestRunner(optionflags=flags).run(story)


def dead_links(text: str, folder: Path) -> list[str]:
    """Links and images of a document that lead to no file."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) + re.findall(r'src="([^"]+)"', text)
    return [t for t in targets if "://" not in t and not (folder / t).exists()]


def unknown_targets(text: str) -> set[str]:
    """`make` targets that a document names and the Makefile lacks."""
    return set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) - MAKE_TARGETS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_document(document: Path) -> None:
    text = document.read_text()
    assert run_examples(text, document.name).failed == 0
    assert dead_links(text, document.parent) == []
    assert unknown_targets(text) == set()


def test_the_documents_were_found() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= {d.name for d in DOCUMENTS}
    assert {"demo", "test", "lint", "bench", "figures"} <= MAKE_TARGETS


def test_control_a_false_example_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    results = run_examples("```python\n>>> 1 + 1\n3\n```\n", "control")
    assert results == doctest.TestResults(failed=1, attempted=1)
    assert "Expected:\n    3" in capsys.readouterr().out
    with pytest.raises(AssertionError):
        run_examples("```python\nassert 1 + 1 == 3\n```\n", "control")


def test_control_a_dead_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / "here.md").touch()
    text = "[a](here.md) [b](gone.md#part) ![c](gone.svg) [d](https://example.org/x)"
    assert dead_links(text, tmp_path) == ["gone.md", "gone.svg"]


def test_control_an_unknown_target_is_seen() -> None:
    text = "`make test`, `make coffee`\nmake tea\nto make sense"
    assert unknown_targets(text) == {"coffee", "tea"}
