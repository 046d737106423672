"""The floors and doors of the house, read from the syntax trees of its files.

Nothing imports upward or sideways; a library with a door is imported only there.
Imports inside functions count as well.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "stylejax"

FLOORS = {
    **dict.fromkeys(["typing", "checks", "trees"], 0),
    **dict.fromkeys(["nn", "losses", "metrics", "image"], 1),
    **dict.fromkeys(["models", "explain", "data", "pretrained"], 2),
    **dict.fromkeys(["train"], 3),
    **dict.fromkeys(["methods", "report"], 4),
    **dict.fromkeys(["api", "stylization", "stylizers"], 5),
    **dict.fromkeys(["training", "views", "warm_start"], 5),
    **dict.fromkeys(["cli"], 6),
}
# Rooms of one floor that may still use each other.
NEIGHBOURS = {
    ("checks", "typing"),
    ("trees", "typing"),
    ("losses", "image"),
    ("metrics", "image"),
    ("metrics", "losses"),
    ("pretrained", "models"),
    ("stylizers", "api"),
    ("stylization", "stylizers"),
    ("warm_start", "api"),
    ("warm_start", "stylizers"),
    ("training", "warm_start"),
    ("training", "views"),
}
# Library -> the places below the repository that may import it. Lists of files
# and of folders ("train/") below stylejax/; experiments are named in full.
DOORS = {
    "orbax": ["stylejax/train/checkpoint.py"],
    "grain": ["stylejax/data/"],
    "tensorflow_datasets": ["stylejax/data/", "experiments/prepare_dataset.py"],
    "PIL": ["stylejax/image/files.py", "stylejax/image/panel.py"],
    "av": ["stylejax/image/video.py"],
    "optax": ["stylejax/train/", "stylejax/methods/", "stylejax/explain/"],
    "flax": [
        "stylejax/nn/",
        "stylejax/models/",
        "stylejax/methods/",
        "stylejax/train/state.py",
        "stylejax/train/image_pool.py",
        "stylejax/explain/activations.py",
    ],
    "absl": ["stylejax/cli/", "experiments/"],
    "jax.sharding": ["stylejax/train/parallel.py"],
    "jax.distributed": ["stylejax/train/parallel.py"],
    "safetensors": ["stylejax/pretrained/"],
    "tensorboardX": ["stylejax/train/writers.py"],
    "matplotlib": ["stylejax/report/"],
    "jinja2": ["stylejax/report/"],
    "torch": [],
    "tensorflow": [],
}
LAZY = {"grain", "tensorflow_datasets", "matplotlib", "jinja2", "av"}
# Attributes that build meshes and shardings without an import of their own.
MESH_CALLS = {"make_mesh", "set_mesh", "shard_map", "pmap", "NamedSharding"}

MODULES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted((ROOT / "experiments").glob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))


def imports(tree: ast.AST, package: str):
    """(dotted module, line number) of every import in a tree, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                parts = parts[: len(parts) - node.level + 1]
                base = ".".join([*parts, base]) if base else ".".join(parts)
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno
        elif isinstance(node, ast.Call) and _is_import_call(node):
            yield node.args[0].value, node.lineno


def _is_import_call(node: ast.Call) -> bool:
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return (
        name in {"import_module", "__import__"}
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
    )


def room_of(path: Path) -> str:
    """The room a file of the package lives in ("" for stylejax/__init__.py)."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def forbidden_edges(path: Path, source: str) -> list[str]:
    """The imports of one file of the package that break the floors."""
    room = room_of(path)
    found = []
    dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for module, line in imports(ast.parse(source), dotted):
        parts = module.split(".")
        if parts[0] in {"experiments", "benchmarks", "tests", "colab"}:
            found.append(f"line {line}: the package imports {module}")
        if parts[0] != "stylejax" or len(parts) < 2:
            continue
        target = parts[1]
        if target not in FLOORS or target == room:
            continue
        own = FLOORS.get(room, 7)
        sideways = own == FLOORS[target] and (room, target) not in NEIGHBOURS
        if own < FLOORS[target] or sideways:
            found.append(f"line {line}: {room} (floor {own}) imports {module}")
    return found


def forbidden_doors(path: Path, source: str) -> list[str]:
    """The imports of one file that use a library away from its door."""
    where = path.relative_to(ROOT).as_posix()
    tree = ast.parse(source)
    found = []
    for module, line in imports(tree, ""):
        for library, places in DOORS.items():
            if not (module + ".").startswith(library + "."):
                continue
            if not any(where.startswith(p) for p in places):
                found.append(f"line {line}: {module} is imported away from {places}")
    top_level = ast.Module(
        [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)], []
    )
    for module, line in imports(top_level, ""):
        if module.split(".")[0] in LAZY and where.startswith("stylejax/data/"):
            found.append(f"line {line}: {module} must be imported inside a function")
    if where != "stylejax/train/parallel.py" and where.startswith("stylejax/"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in MESH_CALLS:
                found.append(f"line {node.lineno}: {node.attr} outside train/parallel")
    return found


def identifier(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=identifier)
def test_imports_go_down(path):
    assert forbidden_edges(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", [*MODULES, *SCRIPTS], ids=identifier)
def test_libraries_enter_by_their_doors(path):
    assert forbidden_doors(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", [*SCRIPTS, *BENCHMARKS], ids=identifier)
def test_scripts_share_only_what_the_package_offers(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # Worlds with known answers, pages and peers are shared; a benchmark is not.
    offered = ("benchmarks.worlds", "benchmarks.pages", "benchmarks.peers")
    shared = [
        m
        for m, _ in imports(tree, "")
        if m.split(".")[0] == "benchmarks" and not m.startswith(offered)
    ]
    if path in SCRIPTS:
        shared += [m for m, _ in imports(tree, "") if m.startswith("experiments")]
    assert shared == []


def test_every_room_is_on_a_floor():
    rooms = {room_of(path) for path in MODULES} - {""}
    assert rooms <= set(FLOORS)


def test_every_folder_is_a_package():
    folders = {path.parent for path in MODULES}
    assert [f for f in folders if not (f / "__init__.py").exists()] == []


@pytest.mark.parametrize(
    ("where", "source"),
    [
        ("losses/a.py", "from stylejax.models import vgg"),
        ("losses/a.py", "def f():\n    import stylejax.train.loop"),
        ("data/a.py", "from stylejax import explain"),
        ("train/a.py", "from ..methods import cyclegan"),
        ("methods/a.py", "import importlib\nimportlib.import_module('stylejax.cli')"),
        ("api.py", "from experiments import train_cyclegan"),
    ],
)
def test_the_floor_rule_catches(where, source):
    assert forbidden_edges(PACKAGE / where, source) != []


@pytest.mark.parametrize(
    ("where", "source"),
    [
        ("losses/a.py", "import flax.linen as nn"),
        ("image/color.py", "from PIL import Image"),
        ("data/a.py", "import grain"),
        ("data/a.py", "from PIL import Image"),
        ("api.py", "from absl import flags"),
        ("train/loop.py", "import orbax.checkpoint as ocp"),
        ("methods/a.py", "from jax.sharding import Mesh"),
        ("methods/a.py", "import jax\nm = jax.make_mesh((1,), ('x',))"),
        ("metrics/a.py", "def f():\n    import torch"),
    ],
)
def test_the_door_rule_catches(where, source):
    assert forbidden_doors(PACKAGE / where, source) != []


def test_the_rules_spare_what_is_allowed():
    source = "from stylejax.image import color\nfrom stylejax.losses import cycle"
    assert forbidden_edges(PACKAGE / "metrics/a.py", source) == []
    lazy = "def f():\n    import grain\n    import tensorflow_datasets as tfds"
    assert forbidden_doors(PACKAGE / "data/a.py", lazy) == []
