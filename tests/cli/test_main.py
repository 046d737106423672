"""The console script: overview, help, unknown commands, and a quick start."""

import subprocess
import sys

import pytest

import stylejax
from stylejax.cli import main


@pytest.mark.parametrize("arguments", [[], ["--help"], ["help"]])
def test_the_overview_names_every_command(arguments, capsys):
    assert main.main(arguments) == 0
    text = capsys.readouterr().out
    assert all(f"stylejax {name}" in text for name in main.COMMANDS)


def test_the_version(capsys):
    assert main.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == stylejax.__version__


@pytest.mark.parametrize("name", sorted(main.COMMANDS))
def test_every_command_has_help_and_the_flags_all_share(name, capsys):
    assert main.main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: stylejax {name}")
    assert all(f"--{flag}" in text for flag in ("[no]json", "seed=", "out="))


def test_an_unknown_command_ends_in_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        main.main(["magic"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "translate" in error


def test_importing_the_package_starts_nothing():
    code = (
        "import sys, stylejax; heavy = {'jax', 'numpy', 'flax', 'absl', 'PIL'};"
        "print(sorted(heavy & set(sys.modules)), 'load' in dir(stylejax))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[] True"


def test_unknown_names_of_the_package_are_attribute_errors():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = stylejax.no_such_name
