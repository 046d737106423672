"""The console script `stylejax`: finds the command, parses its flags, runs it.

A command is a module of this folder with `Options` (a dataclass, made into flags),
`USAGE` (one line) and `run(options, arguments)`, which returns a JSON-able result and
prints nothing on standard output itself but through `say`.
"""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

import stylejax
from stylejax.cli import compile_cache
from stylejax.cli.flags import (
    HELP,
    config_from_flags,
    define_flags,
    help_text,
    parse,
)
from stylejax.cli.messages import UsageError, one_line_errors

COMMANDS = {
    "demo": "train, resume, translate, score and explain in a few minutes",
    "stylize": "paint pictures in the style of others",
    "translate": "translate pictures with a trained model",
    "explain": "show which parts of a picture made its translation",
    "audit": "ask a model whether it hides, invents or loses things",
    "evaluate": "measure a model on test pictures, with its protocol",
    "weights": "list, fetch, convert and verify weights",
}


def entry_point() -> None:
    """Runs the process's own command line and ends it with the exit status."""
    raise SystemExit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """The exit status of a command line.

    Args:
        arguments: the command and what follows it.

    Returns:
        0.

    Raises:
        SystemExit: after one line on stderr, with status 2 for a user's mistake.
    """
    arguments = list(arguments)
    if not arguments or arguments[0] in {*HELP, "help"}:
        print(overview())
        return 0
    if arguments[0] == "--version":
        print(stylejax.__version__)
        return 0
    with one_line_errors("stylejax"):
        name, *rest = arguments
        if name not in COMMANDS:
            raise UsageError(
                f"unknown command {name!r}; there are: {', '.join(COMMANDS)}"
            )
        command = importlib.import_module(f"stylejax.cli.{name}")
    return _run(name, command, rest)


def overview() -> str:
    """What the program can do, a line for each command.

    Returns:
        Text of a few lines.
    """
    lines = [f"  stylejax {name:10} {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        ["usage: stylejax COMMAND [--flag=value …]", "", *lines]
        + ["", "stylejax COMMAND --help lists the flags of a command."]
    )


def _run(name: str, command: Any, arguments: list[str]) -> int:
    values = flags.FlagValues()
    define_flags(command.Options, flag_values=values)
    flags.DEFINE_bool(
        "debug", False, "show the traceback of an error", flag_values=values
    )
    program = f"stylejax {name}"
    if HELP & set(arguments):
        print(f"usage: {command.USAGE}\n\n{help_text(flag_values=values)}")
        return 0
    with one_line_errors(program):
        positional = parse([program, *arguments], flag_values=values)
        options = config_from_flags(command.Options, flag_values=values)
    # Libraries that read absl's global flags expect them to be parsed.
    flags.FLAGS.mark_as_parsed()
    compile_cache.enable()
    with one_line_errors(program, debug=bool(values["debug"].value)):
        result = command.run(options, positional)
    if options.json:
        print(json.dumps(result, indent=1))
    return _flush()


def _flush() -> int:
    """0, also where the reader of our output has gone (`stylejax … | head`)."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
