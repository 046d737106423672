"""What README.md promises: two literal commands, files and flags that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "command",
    ["pip install -e . && stylejax demo", 'pip install -e ".[dev]" && pytest'],
)
def test_the_two_commands_stand_on_lines_of_their_own(command):
    assert command in [line.strip() for line in TEXT.splitlines()]


def test_every_file_it_names_exists():
    named = set(re.findall(r"\b(?:experiments|colab)/[\w/]+\.\w+", TEXT))
    named |= set(re.findall(r"\]\(((?!http)[^)]+)\)", TEXT))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_module_it_runs_exists():
    modules = set(re.findall(r"python -m ([\w.]+)", TEXT))
    assert modules
    paths = [ROOT / f"{module.replace('.', '/')}.py" for module in modules]
    assert [p for p in paths if not p.exists()] == []


def test_the_floors_are_those_that_are_checked():
    for line in re.findall(r"^    \d   (stylejax/.*)$", TEXT, re.M):
        for name in line.split():
            place = ROOT / ("stylejax/" + name.removeprefix("stylejax/"))
            assert place.exists() or place.with_suffix(".py").exists(), name
