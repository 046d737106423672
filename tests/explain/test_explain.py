"""What the room offers by name."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

from stylejax import explain


@pytest.mark.parametrize("name", explain.__all__)
def test_every_name_is_there_and_says_what_it_is(name):
    value = getattr(explain, name)
    if callable(value):
        assert value.__doc__


def test_no_export_is_called_as_a_module():
    """It would be the one or the other, depending on what was imported before."""
    modules = {info.name for info in pkgutil.iter_modules(explain.__path__)}
    assert modules.isdisjoint(explain.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'integrate'"):
        _ = explain.integrate


def test_no_module_knows_a_model():
    for path in Path(explain.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not node.module.startswith("stylejax.models"), path.name


def test_names_are_imported_from_where_they_are_said_to_be():
    for name, module in explain._HOME.items():
        assert hasattr(importlib.import_module(f"stylejax.explain.{module}"), name)
