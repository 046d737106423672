"""Audits of translators that are known to cheat, or not to."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.cli import audits
from stylejax.data import emoji
from stylejax.train.evaluate import make_evaluator


class Fake:
    """A translator made of two functions, as far as the audits need one."""

    def __init__(self, there, back):
        self.functions = {"AtoB": there, "BtoA": back}

    def translate(self, images, *, direction="AtoB"):
        return self.functions[direction](jnp.asarray(images))


@pytest.fixture(scope="module")
def pictures():
    data = emoji.load_emoji()
    return data, make_evaluator(data, image_size=16, max_images=24)


def case(pictures, there, back):
    data, evaluator = pictures
    return audits.Case(Fake(there, back), evaluator, data, seed=0, draws=1)


def darker(images):
    return images * 0.5


def lighter(images):
    return jnp.clip(images * 2, 0, 1)


def test_an_honest_recolouring_hides_nothing_and_adds_nothing(pictures):
    honest = case(pictures, darker, lighter)
    hidden = audits.audit_steganography(honest)["AtoB"]
    assert hidden["verdict"] != "hidden channel"
    structure = audits.audit_structure(honest)["AtoB"]
    assert structure["added"] <= 0.1


def test_discs_that_were_not_there_are_found(pictures):
    """A dark square drawn into every picture that is blank there."""

    def drawing(images):
        return images.at[:, 2:6, 2:6].multiply(jnp.array([0.0, 0.5, 1.0]))

    found = audits.audit_structure(case(pictures, drawing, darker))["AtoB"]
    honest = audits.audit_structure(case(pictures, darker, darker))["AtoB"]
    assert found["added"] > honest["added"] + 0.2


def test_without_partners_the_reason_is_given(pictures):
    data, evaluator = pictures
    unpaired = types.SimpleNamespace(
        test_a=evaluator.test_a, test_b=evaluator.test_b, paired=False
    )
    lonely = audits.Case(Fake(darker, lighter), unpaired, data, seed=0, draws=1)
    rows = audits.audit_structure(lonely)
    assert all(row["summary"].startswith("not done: ") for row in rows.values())


def test_translations_are_made_in_batches(pictures):
    honest = case(pictures, darker, lighter)
    expected = np.asarray(pictures[1].test_a) * 0.5
    np.testing.assert_allclose(honest.outputs["AtoB"], expected, atol=1e-6)
