"""Where cells come from."""

import subprocess

import pytest

from experiments.provenance import source_digest, sources, surroundings


@pytest.fixture
def checkout(tiny, monkeypatch):
    """An experiment that imports a sibling, which imports a package of the checkout."""
    other = f"{tiny.package}_model"
    (tiny.root / other / "rooms").mkdir(parents=True)
    (tiny.root / other / "__init__.py").write_text("")
    (tiny.root / other / "rooms" / "lazy.py").write_text("x = 1\n")
    tiny.write("worlds", f"def world():\n    from {other} import lazy_face\n")
    tiny.write("unused", "x = 1\n")
    tiny.edit("import time", f"import time\nfrom {tiny.package} import worlds")
    return tiny


def test_the_sources_are_what_rows_depend_on(checkout):
    package, other = checkout.package, f"{checkout.package}_model"
    found = {str(path.relative_to(checkout.root)) for path in sources(f"{package}.waves")}
    assert found == {
        f"{package}/waves.py",
        f"{package}/worlds.py",
        f"{other}/__init__.py",
        f"{other}/rooms/lazy.py",
    }


def test_the_digest_moves_with_the_sources_and_with_nothing_else(checkout):
    module = f"{checkout.package}.waves"
    before = source_digest(module)
    checkout.write("unused", "x = 2\n")
    assert source_digest(module) == before
    lazy = checkout.root / f"{checkout.package}_model" / "rooms" / "lazy.py"
    lazy.write_text("x = 2\n")
    changed = source_digest(module)
    assert changed != before
    lazy.rename(lazy.with_name("later.py"))
    assert source_digest(module) not in (before, changed)


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def test_the_commit_and_whether_it_is_what_ran(tiny):
    module = f"{tiny.package}.waves"
    outside = surroundings(module)
    assert outside["commit"] is None
    assert outside["dirty"] is None
    git(tiny.root, "init")
    git(tiny.root, "add", tiny.package)
    git(tiny.root, "commit", "-m", "all")
    (tiny.root / ".git" / "info" / "exclude").write_text("__pycache__\n")
    clean = surroundings(module)
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    tiny.edit("Waves", "Wavelets")
    assert surroundings(module)["dirty"] is True


def test_versions_are_those_of_the_packages():
    import numpy

    found = surroundings("experiments.cell")["packages"]
    assert found["numpy"] == numpy.__version__
