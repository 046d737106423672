"""`stylejax weights`: which there are; getting, converting and checking them."""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from stylejax import api, stylizers
from stylejax.cli.messages import UsageError
from stylejax.pretrained import (
    cache,
    catalogue,
    inspection,
    inventory,
    registry,
    safetensors_io,
    vgg,
)

USAGE = "stylejax weights list | fetch NAME… | convert IN OUT | verify FILE|NAME"


@dataclasses.dataclass(frozen=True)
class Options:
    """What `stylejax weights` can be told.

    Attributes:
        out: convert: the .safetensors file to write, in place of a second name.
        arch: convert, verify: vgg11, vgg13, vgg16 or vgg19; empty: from the names.
        naming: convert, verify: stylejax, torchvision or keras; empty: from the names.
        preprocessing: convert, verify: torch, caffe, caffe_rgb or none; empty: what the
            file states, else what is usual for its naming.
        dtype: convert: half precision makes half the file.
        json: print what was found or done as JSON.
        seed: accepted by every command; there is no chance in this one.
    """

    out: str = ""
    arch: str = ""
    naming: str = ""
    preprocessing: str = ""
    dtype: Literal["float32", "float16"] = "float32"
    json: bool = False
    seed: int = 0


def run(options: Options, arguments: Sequence[str]) -> dict[str, Any]:
    """What an action found or did.

    Args:
        options: from the flags.
        arguments: the action (list, fetch, convert or verify) and what it works on.

    Returns:
        JSON-able dictionary; its keys depend on the action.

    Raises:
        UsageError: no such action, or arguments it cannot work on.
        ValueError: broken, hostile or changed weights.
        OSError: a file that is not there, or an address that gives none.
    """
    action, *rest = arguments or [""]
    if action not in _ACTIONS:
        raise UsageError(
            f"expected one of {', '.join(_ACTIONS)}; got {action or 'nothing'}; usage:"
            f" {USAGE}"
        )
    if options.out and action != "convert":
        raise UsageError(f"--out belongs to convert, got it with {action}")
    try:
        return _ACTIONS[action](options, rest)
    except ImportError as error:  # an extra that reads this kind of file
        raise UsageError(str(error)) from None


def _list(options: Options, arguments: Sequence[str]) -> dict[str, Any]:
    if arguments:
        raise UsageError(f"list takes no arguments, got {arguments[0]!r}")
    items = inventory.items()
    if not options.json:
        print(table(items))
        print(f"\nFetched weights lie in {cache.folder()}")
    rows = [dataclasses.asdict(item) for item in items]
    return {"folder": str(cache.folder()), "weights": rows}


def table(items: Sequence[inventory.Item]) -> str:
    """The inventory for a person: a line for each, columns aligned.

    Args:
        items: from `stylejax.pretrained.inventory`.

    Returns:
        Text that ends without a line break.
    """
    rows = [("name", "network", "size", "hash", "here", "licence", "from")]
    for item in items:
        size = f"{item.megabytes:.1f} MiB" if item.megabytes else "?"
        here = "yes" if item.is_here else "no"
        licence = item.licence if len(item.licence) <= 40 else item.licence[:39] + "…"
        rows.append(
            (item.name, item.network, size, item.hash_state, here, licence, item.source)
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _fetch(options: Options, arguments: Sequence[str]) -> dict[str, Any]:
    shipped = registry.names() + registry.names(folder=registry.FEATURES)
    known = [*shipped, *catalogue.names()]
    if not arguments:
        raise UsageError(f"expected a name to fetch: {', '.join(known)}")
    for name in arguments:  # before the first of them takes its minutes
        if name not in known:
            raise UsageError(f"no weights {name!r}; there are: {', '.join(known)}")
    return {"fetched": [_fetch_one(name, options) for name in arguments]}


def _fetch_one(name: str, options: Options) -> dict[str, Any]:
    if name not in catalogue.names():
        path, digest, _ = inspection.verify_bytes(name)
        text, is_new = "ships with the package", False
    else:
        entry = catalogue.find(name)
        path, digest, is_new = cache.fetch(
            entry,
            progress=not options.json,
            say=lambda line: print(line, file=sys.stderr),
        )
        text = "fetched" if is_new else "was here already, its hash is right"
        text += f"; licence: {entry.licence}"
    if not options.json:
        print(f"{name}: {text}\n  {path}\n  SHA-256 {digest}")
    return {"name": name, "path": str(path), "sha256": digest, "is_new": is_new}


def _convert(options: Options, arguments: Sequence[str]) -> dict[str, Any]:
    names = [*arguments, options.out] if options.out else list(arguments)
    if len(names) != 2:
        raise UsageError(
            "convert takes what to read and the .safetensors file to write, got"
            f" {len(names)} names"
        )
    source, out = names[0], Path(names[1]).expanduser()
    if out.suffix != ".safetensors":
        raise UsageError(f"expected a name ending in .safetensors, got {str(out)!r}")
    path, digest, _ = inspection.verify_bytes(source)
    if out.exists() and out.samefile(path):
        raise UsageError(f"the output {str(out)!r} would replace the input")
    weights = vgg.load(source, **_told(options))
    written = vgg.save(out, weights, dtype=options.dtype, source_sha256=digest)
    result = dataclasses.asdict(inspection.verify_vgg(written))
    if not options.json:
        print(f"{source}: {result['network']}, {result['holds']}\n  {written}")
    return {"input": source, "output": str(written), "dtype": options.dtype, **result}


def _verify(options: Options, arguments: Sequence[str]) -> dict[str, Any]:
    if len(arguments) != 1:
        raise UsageError(f"verify takes one file or name, got {len(arguments)}")
    path, _ = inventory.locate(arguments[0])
    format_name = _format(path)
    if format_name in _LOADERS:
        found = _network_report(arguments[0], format_name)
    else:
        found = inspection.verify_vgg(arguments[0], **_told(options))
    if not options.json:
        print(
            f"{found.path} is in order\n"
            f"  {found.network}: {found.holds}\n"
            f"  {found.num_tensors} tensors, {found.num_parameters} finite numbers,"
            f" {found.num_bytes} bytes\n"
            f"  SHA-256 {found.sha256} ({found.hash_state})"
        )
    return dataclasses.asdict(found)


def _told(options: Options) -> dict[str, str | None]:
    """What the flags say of the weights; None leaves it to the file."""
    return {
        "arch": options.arch or None,
        "naming": options.naming or None,
        "preprocessing": options.preprocessing or None,
    }


_LOADERS: dict[str, Callable[[Path], Any]] = {
    api.FORMAT: api.load,
    stylizers.FORMAT: stylizers.load,
}


def _format(path: Path) -> str:
    """What a file of ours says it holds; "" where it says nothing."""
    if path.suffix != ".safetensors" or not path.is_file():
        return ""
    return str(safetensors_io.read_metadata(path).get("format", ""))


def _network_report(name_or_path: str, format_name: str) -> inspection.Report:
    path, digest, state = inspection.verify_bytes(name_or_path)
    try:
        # Refuses names and shapes that are not the config's.
        model = _LOADERS[format_name](path)
    except Exception as error:  # a hostile configuration may raise whatever it likes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"cannot load {str(path)!r}: {reason}") from None
    is_translator = format_name == api.FORMAT
    does = f"translates {', '.join(sorted(model.params))}"
    return inspection.report(
        path,
        model.params,
        sha256=digest,
        hash_state=state,
        network=model.method,
        holds=does if is_translator else "paints a content in a style",
    )


_ACTIONS: dict[str, Callable[[Options, Sequence[str]], dict[str, Any]]] = {
    "list": _list,
    "fetch": _fetch,
    "convert": _convert,
    "verify": _verify,
}
