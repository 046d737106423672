"""The taste of the house, enforced: signatures, docstrings, sizes, names, tests.

Everything is read from the syntax trees, so that nothing needs to be imported.
The tests of the module `stylejax/api.py` are in test_api_*.py beside this file.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "stylejax"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [*MODULES, *sorted((ROOT / "experiments").glob("*.py"))]
GRAB_BAGS = {"utils", "util", "helpers", "helper", "common", "misc"}
MAX_FILE_LINES, MAX_FUNCTION_LINES = 350, 60
# A whole method lives in one file, its configuration and docstrings included.
MAX_METHOD_LINES = 500


def public_functions(tree: ast.Module):
    """(qualified name, node, is a method) of the public functions and methods."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node, False
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and item.name[0] != "_":
                    yield f"{node.name}.{item.name}", item, True


def faults(source: str) -> list[str]:
    """What the public functions of one module do against the rules."""
    found = []
    for name, node, is_method in public_functions(ast.parse(source)):
        static = any(
            getattr(d, "id", "") == "staticmethod" for d in node.decorator_list
        )
        positional = [*node.args.posonlyargs, *node.args.args]
        if is_method and not static:
            positional = positional[1:]
        names = [a.arg for a in positional]
        keywords = [a.arg for a in node.args.kwonlyargs]
        if node.args.defaults:
            found.append(f"{name}: options must be keyword-only (after *)")
        if "rng" in names + keywords:
            found.append(f"{name}: call it key, not rng")
        if "key" in names[1:] + keywords:
            found.append(f"{name}: key is the first positional argument")
        found += docstring_faults(name, node, bool(names + keywords), is_method)
    return found


def docstring_faults(
    name: str, node: ast.FunctionDef, has_args: bool, is_method: bool
) -> list[str]:
    text = ast.get_docstring(node)
    if not text:
        return [f"{name}: no docstring"]
    found = []
    if is_method:
        return found
    if has_args and "Args:" not in text:
        found.append(f"{name}: docstring without Args")
    nothing = isinstance(node.returns, ast.Constant) and node.returns.value is None
    if not nothing and "Returns:" not in text and "Yields:" not in text:
        found.append(f"{name}: docstring without Returns")
    return found


def code_lines(node: ast.FunctionDef) -> int:
    """The lines of a function but for its docstring, whose sections are prescribed."""
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is None:
        return lines
    return lines - (node.body[0].end_lineno - node.body[0].lineno + 1)


def identifier(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=identifier)
def test_public_functions_follow_the_rules(path):
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", SOURCES, ids=identifier)
def test_every_module_says_what_it_is_for(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not tree.body or ast.get_docstring(tree)


@pytest.mark.parametrize("path", MODULES, ids=identifier)
def test_every_module_has_a_test_file(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defines = any(isinstance(n, ast.FunctionDef | ast.ClassDef) for n in tree.body)
    if not defines or path.parent == PACKAGE and path.name == "__init__.py":
        return
    folder = ROOT / "tests" / path.parent.relative_to(PACKAGE)
    name = path.parent.name if path.name == "__init__.py" else path.stem
    candidates = [folder / f"test_{name}.py", *folder.glob(f"test_{name}_*.py")]
    assert any(c.exists() for c in candidates), f"expected {candidates[0]}"


@pytest.mark.parametrize("path", SOURCES, ids=identifier)
def test_files_and_functions_stay_small(path):
    text = path.read_text(encoding="utf-8")
    is_method = path.parent.name == "methods"
    limit = MAX_METHOD_LINES if is_method else MAX_FILE_LINES
    assert text.count("\n") <= limit
    lengths = {
        node.name: code_lines(node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    }
    assert {k: n for k, n in lengths.items() if n > MAX_FUNCTION_LINES} == {}


def test_no_grab_bag_files():
    everywhere = [*SOURCES, *(ROOT / "tests").rglob("*.py")]
    everywhere += (ROOT / "benchmarks").glob("*.py")
    stems = {path: path.stem.removeprefix("test_") for path in everywhere}
    assert [identifier(p) for p, stem in stems.items() if stem in GRAB_BAGS] == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('def f(x, y=1):\n    """A."""', "keyword-only"),
        ('def f(rng, x):\n    """A."""', "not rng"),
        ('def f(x, key):\n    """A."""', "first positional"),
        ("def f(x):\n    return x", "no docstring"),
        ('def f(x):\n    """A."""\n    return x', "without Args"),
        ('class A:\n    def f(self, x=1):\n        """A."""', "keyword-only"),
    ],
)
def test_the_rules_catch(source, fault):
    assert any(fault in found for found in faults(source))


def test_the_rules_spare_good_functions():
    good = (
        "def f(key, x, *, scale=1.0):\n"
        '    """The x.\n\n    Args:\n        x: it.\n\n'
        '    Returns:\n        x.\n    """\n'
    )
    assert faults(good) == []
