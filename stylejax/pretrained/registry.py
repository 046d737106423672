"""The checkpoints that ship with the package, by name, each with its model card."""

import re
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
FEATURES = ASSETS / "features"
"""Networks whose feature maps losses and metrics look at."""


def names(*, folder: Path = ASSETS) -> list[str]:
    """The names of the shipped checkpoints, sorted.

    Args:
        folder: where they lie.

    Returns:
        Names as `stylejax.load` takes them.
    """
    return sorted(path.stem for path in folder.glob("*.safetensors"))


def find(name: str, *, folder: Path = ASSETS) -> Path:
    """The file of a shipped checkpoint.

    Args:
        name: one of `names()`.
        folder: where they lie.

    Returns:
        The path of its .safetensors file.

    Raises:
        ValueError: nothing of this name ships.
    """
    if name not in names(folder=folder):
        known = ", ".join(names(folder=folder)) or "none"
        raise ValueError(
            f"no shipped checkpoint is called {name!r}; there are: {known}"
        )
    return folder / f"{name}.safetensors"


def card(path: Path) -> str:
    """The model card beside a weights file.

    Args:
        path: the .safetensors file.

    Returns:
        The text of the .md file of the same name, "" where there is none.
    """
    beside = Path(path).with_suffix(".md")
    return beside.read_text(encoding="utf-8") if beside.is_file() else ""


def card_row(path: Path, name: str) -> str:
    """What a model card's table says under a name.

    Args:
        path: the .safetensors file.
        name: what stands in the row's first cell.

    Returns:
        The second cell of that row, "" where there is none.
    """
    row = rf"^\| *{re.escape(name)} *\|(.*)\| *$"
    found = re.search(row, card(path), flags=re.MULTILINE)
    return found[1].strip() if found else ""
