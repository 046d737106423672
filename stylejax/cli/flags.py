"""absl flags made from frozen dataclasses, so that a setting is written down once.

A field becomes a flag of its name, type and default: bool, int, float, str, an enum
where the field's type is a Literal or its metadata has "choices", a repeatable flag
where it is a tuple. Its help is the field's metadata "help", its entry in the class's
docstring under "Attributes:", or the comment beside or above it. Two dataclasses with
a field of one name share the flag; the default is that of the first.
"""

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from absl import flags

from stylejax.cli import compile_cache
from stylejax.cli.messages import UsageError, one_line_errors

Config = TypeVar("Config")

_DEFINE = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}
_DEFINE_MANY = {
    int: flags.DEFINE_multi_integer,
    float: flags.DEFINE_multi_float,
    str: flags.DEFINE_multi_string,
}
_OURS = "stylejax"
HELP = {"-h", "-help", "--help", "--helpshort", "--helpfull"}
_TYPE = "stylejax_type"


def define_flags(
    *config_types: type,
    flag_values: flags.FlagValues = flags.FLAGS,
    exclude: Sequence[str] = (),
) -> None:
    """Defines one flag for every field of the dataclasses.

    Args:
        *config_types: dataclass types whose fields all have defaults (a field
            without one becomes a required flag).
        flag_values: where the flags are defined.
        exclude: names of fields that become no flag.

    Raises:
        ValueError: a field of a type no flag can hold, or a flag of this name that
            something else has defined or that has another type.
    """
    for config_type in config_types:
        hints = typing.get_type_hints(config_type)
        helps = field_help(config_type)
        for field in dataclasses.fields(config_type):
            if field.init and field.name not in exclude:
                _define(field, hints[field.name], helps[field.name], flag_values)


def config_from_flags(
    config_type: type[Config],
    *,
    flag_values: flags.FlagValues = flags.FLAGS,
    **fixed: Any,
) -> Config:
    """The dataclass filled in from the parsed flags.

    Args:
        config_type: a dataclass type given to `define_flags` before.
        flag_values: where the flags were defined.
        **fixed: values of fields that do not come from a flag.

    Returns:
        An instance; fields without a flag keep their defaults.
    """
    values = dict(fixed)
    for field in dataclasses.fields(config_type):  # type: ignore[arg-type]
        if field.init and field.name not in fixed and field.name in flag_values:
            value = flag_values[field.name].value
            values[field.name] = tuple(value) if isinstance(value, list) else value
    return config_type(**values)


def parse(
    argv: Sequence[str], *, flag_values: flags.FlagValues = flags.FLAGS
) -> list[str]:
    """The positional arguments of a command line, its flags having been set.

    Args:
        argv: the program's name, then its arguments.
        flag_values: the flags to set.

    Returns:
        What is no flag, in order, without the program's name.

    Raises:
        flags.Error: an unknown flag or a bad value.
        UsageError: a required flag is missing.
    """
    try:
        return flag_values(list(argv))[1:]
    except flags.IllegalFlagValueError as error:
        missing = re.match(r"flag --(\w+)=None: .*other than None", str(error))
        if missing is None:
            raise
        raise UsageError(f"expected --{missing[1]}=…, got no such flag") from None


def help_text(
    *, flag_values: flags.FlagValues = flags.FLAGS, modules: Sequence[str] = ()
) -> str:
    """The flags made by `define_flags`, two lines or more for each.

    Args:
        flag_values: where they were defined.
        modules: names of modules whose own flags are listed as well.

    Returns:
        Text that ends without a line break.
    """
    by_module = flag_values.flags_by_module_dict()
    listed = {f.name: f for m in {_OURS, *modules} for f in by_module.get(m, [])}
    return "\n".join(_flag_help(listed[name]) for name in sorted(listed))


def run_app(
    main: Callable[[list[str]], Any],
    *,
    argv: Sequence[str] | None = None,
    flag_values: flags.FlagValues = flags.FLAGS,
    keep_compiled: bool = True,
) -> None:
    """Runs a script's main with parsed flags, and exits with what it returns.

    A mistake in the flags, or a ValueError, TypeError or OSError in `main`, ends
    with one line on stderr and exit status 2; `--debug` shows the traceback.

    Args:
        main: takes the list of all arguments that are no flags, the program's name
            first; returns an exit status or None for 0.
        argv: the command line; the process's own by default.
        flag_values: the flags to parse.
        keep_compiled: keep compiled programs on disk, see `compile_cache`; False where
            compilation is what is measured.

    Raises:
        SystemExit: always.
    """
    argv = list(sys.argv if argv is None else argv)
    if HELP & set(argv[1:]):
        document = sys.modules[main.__module__].__doc__ or ""
        # absl knows the flags of the main module under the program's name.
        modules = (argv[0], sys.argv[0], main.__module__)
        listed = help_text(flag_values=flag_values, modules=modules)
        print(f"{document.strip()}\n\n{listed}")
        raise SystemExit(0)
    if "debug" not in flag_values:
        flags.DEFINE_bool(
            "debug", False, "Show the traceback of an error.", flag_values=flag_values
        )
    program = re.sub(r"\.py$", "", argv[0].rsplit("/", 1)[-1])
    with one_line_errors(program):
        positional = parse(argv, flag_values=flag_values)
    if keep_compiled:
        compile_cache.enable()
    with one_line_errors(program, debug=bool(flag_values["debug"].value)):
        status = main([argv[0], *positional])
    raise SystemExit(status or 0)


def refuse_arguments(argv: Sequence[str]) -> None:
    """Raises where a script that takes flags alone was given something else.

    Args:
        argv: the program's name, then what was no flag.

    Raises:
        UsageError: there is such an argument.
    """
    if len(argv) > 1:
        raise UsageError(f"expected flags alone, got {argv[1]!r}; write --name=value")


def _flag_help(flag: flags.Flag) -> str:
    is_bool = isinstance(flag, flags.BooleanFlag)
    shown = "|".join(map(str, getattr(flag.parser, "enum_values", None) or ()))
    # absl puts the choices of an enum before its help; they stand above already.
    text = (flag.help or "").removeprefix(f"<{shown}>: ").rstrip(".")
    value = shown or flag.flag_type().removeprefix("multi ")
    usage = f"--[no]{flag.name}" if is_bool else f"--{flag.name}={value}"
    default = flag.default
    is_plain = default is None or default is False or default in ("", [])
    notes = [] if is_plain else [f"default {default}"]
    notes += ["may be repeated"] if isinstance(flag, flags.MultiFlag) else []
    text = f"{text} ({', '.join(notes)})" if notes else text
    indent = " " * 8
    wrapped = textwrap.wrap(text, 88, initial_indent=indent, subsequent_indent=indent)
    return "\n".join([f"  {usage}", *wrapped])


def field_help(config_type: type) -> dict[str, str]:
    """The help text of every field of a dataclass.

    Args:
        config_type: a dataclass type.

    Returns:
        Field name -> text, "" where nothing was written about it.
    """
    entries = _attribute_entries(inspect.getdoc(config_type) or "")
    comments: dict[str, str] = {}
    for cls in reversed(config_type.__mro__):
        if dataclasses.is_dataclass(cls):
            comments.update(_field_comments(cls))
    return {
        field.name: field.metadata.get("help")
        or entries.get(field.name)
        or comments.get(field.name, "")
        for field in dataclasses.fields(config_type)
    }


def _attribute_entries(doc: str) -> dict[str, str]:
    match = re.search(r"^(?:Attributes|Args):\n((?:[ \t]+.*\n?|\n)*)", doc, re.M)
    if not match:
        return {}
    entries: dict[str, str] = {}
    name = ""
    for line in textwrap.dedent(match.group(1)).splitlines():
        start = re.match(r"(\w+)(?: \([^)]*\))?:\s*(.*)", line)
        if start:
            name, entries[start.group(1)] = start.group(1), start.group(2)
        elif name and line.strip():
            entries[name] = f"{entries[name]} {line.strip()}".strip()
    return entries


def _field_comments(config_type: type) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(config_type))
    except (OSError, TypeError):
        return {}
    lines = source.splitlines()
    body = typing.cast(ast.ClassDef, ast.parse(source).body[0]).body
    found = {}
    for node in body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        last = lines[node.end_lineno - 1]  # type: ignore[operator]
        # Offsets count bytes, so the comment is cut from the encoded line.
        beside = last.encode()[node.end_col_offset :].decode().strip()
        above: list[str] = []
        for line in reversed(lines[: node.lineno - 1]):
            if not line.strip().startswith("#"):
                break
            above.insert(0, line.strip().lstrip("# "))
        found[node.target.id] = beside.lstrip("# ") or " ".join(above)
    return found


def _define(
    field: dataclasses.Field, hint: Any, text: str, flag_values: flags.FlagValues
) -> None:
    kind, choices, many = _flag_type(field, hint)
    default: Any = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    required = default is dataclasses.MISSING
    if field.name in flag_values:
        _check_shared(field.name, (kind, choices, many), flag_values)
        return
    options: dict[str, Any] = {
        "name": field.name,
        "default": None if required else (list(default) if many else default),
        "help": text or field.name.replace("_", " "),
        "flag_values": flag_values,
        "module_name": _OURS,
    }
    if choices:
        define: Any = flags.DEFINE_multi_enum if many else flags.DEFINE_enum
        define(enum_values=list(choices), **options)
    else:
        define = (_DEFINE_MANY if many else _DEFINE)[kind]
        define(**options)
    # Remembered on the flag itself, for dataclasses that share it.
    setattr(flag_values[field.name], _TYPE, (kind, choices, many))
    if required:
        flags.mark_flag_as_required(field.name, flag_values=flag_values)


def _flag_type(field: dataclasses.Field, hint: Any) -> tuple[type, tuple, bool]:
    """(type of one value, its choices or (), whether the flag may be repeated)."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType) and type(None) in arguments:
        (hint,) = (a for a in arguments if a is not type(None))
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    many = origin in (tuple, list, Sequence)
    if many:
        hint = arguments[0]
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    choices = tuple(field.metadata.get("choices", ()))
    if origin is typing.Literal:
        hint, choices = type(arguments[0]), arguments
    if hint not in (_DEFINE_MANY if many else _DEFINE):
        raise ValueError(
            f"no flag can hold field {field.name!r} of type {hint}; "
            "use bool, int, float, str, a Literal or a tuple of these"
        )
    return hint, choices, many


def _check_shared(name: str, wanted: tuple, flag_values: flags.FlagValues) -> None:
    known = getattr(flag_values[name], _TYPE, None)
    if known is None:
        raise ValueError(f"field {name!r} has the name of a flag that is taken")
    if known != wanted:
        raise ValueError(f"two dataclasses give flag {name!r} different types")
