"""Flags made from dataclasses: names, types, help, sharing, and how mistakes end."""

import dataclasses
from typing import Literal

import pytest
from absl import flags

from stylejax.cli import flags as cli_flags
from stylejax.cli.messages import UsageError


@dataclasses.dataclass(frozen=True)
class Model:
    """A config.

    Attributes:
        width: how wide,
            in channels.
    """

    width: int = 64
    # Above it.
    rate: float = 2e-4
    kind: Literal["resnet", "unet"] = "resnet"  # beside it: "é"
    deep: bool = False
    name: str = dataclasses.field(default="x", metadata={"help": "from metadata"})
    loss: str = dataclasses.field(default="a", metadata={"choices": ("a", "b")})
    seed: int = 0
    style: tuple[str, ...] = ()
    limit: int | None = None


@dataclasses.dataclass(frozen=True)
class Data:
    """Another config that shares a field."""

    seed: int = 0
    batch_size: int = 1


@pytest.fixture
def values():
    return flags.FlagValues()


def parsed(values, *arguments, types=(Model, Data)):
    cli_flags.define_flags(*types, flag_values=values)
    cli_flags.parse(["program", *arguments], flag_values=values)
    return values


def test_defaults_survive_the_round_trip(values):
    parsed(values)
    assert cli_flags.config_from_flags(Model, flag_values=values) == Model()
    assert cli_flags.config_from_flags(Data, flag_values=values) == Data()


def test_every_type_is_parsed(values):
    parsed(
        values,
        *("--width=8", "--rate", "1e-3", "--kind=unet", "--deep", "--name=y"),
        *("--loss=b", "--style=p", "--style=q", "--limit=3"),
    )
    got = cli_flags.config_from_flags(Model, flag_values=values)
    expected = Model(8, 1e-3, "unet", True, "y", "b", 0, ("p", "q"), 3)
    assert got == expected


def test_a_shared_flag_sets_both(values):
    parsed(values, "--seed=7")
    assert cli_flags.config_from_flags(Model, flag_values=values).seed == 7
    assert cli_flags.config_from_flags(Data, flag_values=values).seed == 7


def test_fixed_values_win_and_excluded_fields_keep_their_default(values):
    cli_flags.define_flags(Model, flag_values=values, exclude=["width"])
    cli_flags.parse(["program"], flag_values=values)
    assert "width" not in values
    got = cli_flags.config_from_flags(Model, flag_values=values, name="fixed")
    assert (got.width, got.name) == (64, "fixed")


def test_help_is_found_wherever_it_was_written():
    helps = cli_flags.field_help(Model)
    assert helps["width"] == "how wide, in channels."
    assert helps["rate"] == "Above it."
    assert helps["kind"] == 'beside it: "é"'
    assert helps["name"] == "from metadata"
    assert helps["deep"] == ""


def test_different_types_of_one_name_are_refused(values):
    @dataclasses.dataclass
    class Other:
        seed: str = ""

    with pytest.raises(ValueError, match="'seed' different types"):
        cli_flags.define_flags(Model, Other, flag_values=values)


def test_a_taken_name_is_refused(values):
    flags.DEFINE_integer("seed", 0, "not ours", flag_values=values)
    with pytest.raises(ValueError, match="taken"):
        cli_flags.define_flags(Data, flag_values=values)


def test_a_type_without_a_flag_is_refused(values):
    @dataclasses.dataclass
    class Odd:
        table: dict = dataclasses.field(default_factory=dict)

    with pytest.raises(ValueError, match="no flag can hold field 'table'"):
        cli_flags.define_flags(Odd, flag_values=values)


def test_a_field_without_default_is_a_required_flag(values):
    @dataclasses.dataclass
    class Needs:
        out: str

    with pytest.raises(UsageError, match="expected --out="):
        parsed(values, types=(Needs,))


def run(values, main, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli_flags.run_app(main, argv=["/a/tool.py", *arguments], flag_values=values)
    return ended.value.code


def test_run_app_hands_over_what_is_no_flag(values):
    cli_flags.define_flags(Data, flag_values=values)
    seen = []
    assert run(values, seen.extend, "one", "--seed=3", "two") == 0
    assert seen == ["/a/tool.py", "one", "two"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--no_such_flag"], "no_such_flag"),
        (["--kind=vgg"], "resnet|unet"),
        (["--width=wide"], "wide"),
    ],
)
def test_flag_mistakes_end_in_one_line(values, capsys, arguments, text):
    cli_flags.define_flags(Model, flag_values=values)
    assert run(values, lambda argv: 0, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("tool: ")
    assert captured.err.count("\n") == 1
    assert text in captured.err


def test_mistakes_in_main_end_in_one_line_unless_debugging(values, capsys):
    def main(argv):
        raise FileNotFoundError("no folder here;\n name another")

    assert run(values, main) == 2
    assert capsys.readouterr().err == "tool: no folder here; name another\n"
    with pytest.raises(FileNotFoundError):
        cli_flags.run_app(main, argv=["tool", "--debug"], flag_values=values)


def test_a_status_is_passed_on(values):
    assert run(values, lambda argv: 3) == 3


def test_arguments_are_refused_where_flags_are_expected():
    cli_flags.refuse_arguments(["tool"])
    with pytest.raises(ValueError, match="got 'x'"):
        cli_flags.refuse_arguments(["tool", "x"])


def test_help_lists_our_flags_with_their_defaults(values, capsys):
    flags.DEFINE_integer(
        "foreign", 0, "not ours", flag_values=values, module_name="theirs"
    )
    cli_flags.define_flags(Model, flag_values=values)
    assert run(values, lambda argv: 3, "--width=1", "--help") == 0
    text = capsys.readouterr().out
    assert text.startswith("Flags made from dataclasses")  # this module's docstring
    assert "--width=int\n        how wide, in channels (default 64)" in text
    assert "--kind=resnet|unet" in text and "--[no]deep" in text
    assert "(may be repeated)" in text and "foreign" not in text
    listed = cli_flags.help_text(flag_values=values, modules=["theirs"])
    assert "--foreign=int\n        not ours (default 0)" in listed
