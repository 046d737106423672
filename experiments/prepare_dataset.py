"""Makes a verified two-domain tfds data set (array_record) of folders of pictures.

    python -m experiments.prepare_dataset --input=ROOT --out=OUT --name=my_set
    python -m experiments.prepare_dataset --input_a=DAY --input_b=DUSK --out=OUT

ROOT holds trainA and trainB, perhaps testA and testB; of two plain folders a share is
set aside as the test. Broken files are named and left out; exact and near duplicates
are reported, within and across training and test, and dropped with --drop=exact|near.
Every picture is read back and compared with its file. Beside the data lie summary.json
and contact_sheet.png. Needs no TensorFlow. Afterwards: --dataset=tfds:OUT/my_set
"""

import functools
import json

from absl import flags
from tqdm import tqdm

from stylejax.cli.flags import (
    config_from_flags,
    define_flags,
    refuse_arguments,
    run_app,
)
from stylejax.data.survey import (
    SurveyConfig,
    contact_sheet,
    cut_splits,
    named_splits,
    survey,
)
from stylejax.data.two_domain_builder import (
    new_directory,
    verify_two_domain,
    write_two_domain,
)
from stylejax.image import files

_INPUT = flags.DEFINE_string(
    "input", None, "Folder with trainA, trainB (testA, testB)."
)
_INPUT_A = flags.DEFINE_string("input_a", None, "Instead: the folder of domain A …")
_INPUT_B = flags.DEFINE_string("input_b", None, "… and the folder of domain B.")
_TEST = flags.DEFINE_float("test_fraction", 0.1, "Share of two folders for the test.")
_SEED = flags.DEFINE_integer("seed", 0, "Which pictures of two folders are the test.")
_OUT = flags.DEFINE_string("out", None, "Receives NAME/VERSION.", required=True)
_NAME = flags.DEFINE_string("name", "two_domain", "Name of the data set.")
_VERSION = flags.DEFINE_string("version", "1.0.0", "Its version.")
_ABOUT = flags.DEFINE_string("description", "", "A sentence about the pictures.")
_LICENSE = flags.DEFINE_string("license", "", "What may be done with them.")
_BAD = flags.DEFINE_enum(
    "on_bad_image", "skip", ["skip", "error"], "Leave broken files out, or stop."
)
define_flags(SurveyConfig)


def main(argv):
    """Surveys the folders, writes the data set, reads it back, reports."""
    refuse_arguments(argv)
    new_directory(_OUT.value, name=_NAME.value, version=_VERSION.value)  # or stop now
    root, a, b = _INPUT.value, _INPUT_A.value, _INPUT_B.value
    if root and not (a or b):
        splits = named_splits(root)
    elif a and b and not root:
        splits = cut_splits(a, b, test_fraction=_TEST.value, seed=_SEED.value)
    else:
        raise ValueError("expected either --input, or --input_a and --input_b")
    bar = functools.partial(tqdm, desc="reading", unit="picture")
    found = survey(splits, config_from_flags(SurveyConfig), progress=bar)
    print(*found.broken.values(), sep="\n", end="\n" if found.broken else "")
    if found.broken and _BAD.value == "error":
        raise ValueError(
            f"{len(found.broken)} broken file(s), named above; remove them"
        )
    written = write_two_domain(
        found.kept,
        _OUT.value,
        name=_NAME.value,
        version=_VERSION.value,
        paired=found.paired,
        description=_ABOUT.value,
        license_text=_LICENSE.value,
    )
    summary = {"directory": str(written.directory), **found.summary()}
    summary["stored_as_png"] = list(written.reencoded)
    summary["largest_difference_read_back"] = verify_two_domain(
        written.directory, found.kept
    )
    files.write(written.directory / "contact_sheet.png", contact_sheet(found))
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    (written.directory / "summary.json").write_text(text + "\n", encoding="utf-8")
    report(summary)


def report(summary):
    """Prints the summary for people."""
    for split, count in summary["found"].items():
        print(f"{split}: {count} found, {summary['kept'][split]} written")
    for kind in ("broken", "too_small", "dropped", "unpartnered", "stored_as_png"):
        print(f"{kind.replace('_', ' ')}: {len(summary[kind])}")
    for kind in ("exact_duplicates", "near_duplicates", "equal_across_domains"):
        crossing = [group for group in summary[kind] if group["train_and_test"]]
        print(
            f"{kind.replace('_', ' ')}: {len(summary[kind])},"
            f" {len(crossing)} of them across train and test"
        )
        for group in crossing[:5]:
            print("  " + " and ".join(group["files"]))
    largest, out = summary["largest_difference_read_back"], summary["directory"]
    print(f"read back and compared, largest difference {largest:.5f}")
    print(f"look at {out}/contact_sheet.png; train with --dataset=tfds:{out}")


if __name__ == "__main__":
    run_app(main)
