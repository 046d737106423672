"""Terms: their sum is the loss, their names say what they are, mixing is adding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.losses import content, style, terms
from stylejax.losses.terms import StyleTarget, Term


@pytest.fixture
def maps(generator):
    def draw(b, h, w):
        shapes = {"relu1": (b, h, w, 3), "relu2": (b, h // 2, w // 2, 5)}
        return {
            k: jnp.asarray(generator.random(s, np.float32)) for k, s in shapes.items()
        }

    return draw


def test_content_terms_are_weighted_distances(maps):
    x, y = maps(2, 8, 6), maps(2, 8, 6)
    found = terms.content_terms(x, y, {"relu1": 2.0, "relu2": 0.5})
    assert list(found) == [Term("content", "relu1"), Term("content", "relu2")]
    expected = 2 * content.euclidean_distance(x["relu1"], y["relu1"])
    np.testing.assert_allclose(found[Term("content", "relu1")], expected)
    cosine = terms.content_terms(x, y, {"relu2": 1.0}, distance="cosine")
    expected = content.cosine_distance(x["relu2"], y["relu2"])
    np.testing.assert_allclose(cosine[Term("content", "relu2")], expected)


def test_style_terms_by_layer_style_and_region(maps):
    x, a, b = maps(2, 8, 6), maps(1, 6, 6), maps(1, 4, 8)
    mask = jnp.zeros((1, 8, 6)).at[:, :, :3].set(1.0)
    layers = ["relu1", "relu2"]
    targets = {
        ("wave", ""): StyleTarget(terms.style_statistics(a, layers), 0.25),
        ("night", "left"): StyleTarget(terms.style_statistics(b, layers), 0.75, mask),
    }
    found = terms.style_terms(x, targets, {"relu1": 10.0, "relu2": 1.0})
    assert len(found) == 4
    expected = 7.5 * style.gram_distance(
        style.gram_matrix(x["relu1"], mask=mask), style.gram_matrix(b["relu1"])
    )
    name = Term("style", "relu1", "night", "left")
    np.testing.assert_allclose(found[name], expected, rtol=1e-6)
    assert str(name) == "style/relu1/night/left"
    assert str(Term("content", "relu1")) == "content/relu1"
    whole = sum(np.asarray(v) for v in found.values())
    np.testing.assert_allclose(terms.total(found), whole, rtol=1e-6)


def test_adding_styles_pulls_like_one_distance_to_their_mixture(maps):
    x, a, b = maps(1, 8, 6), maps(1, 6, 6), maps(1, 4, 8)
    share, weights = 0.3, {"relu1": 1.0}

    def added(features):
        targets = {
            ("a", ""): StyleTarget(terms.style_statistics(a, ["relu1"]), share),
            ("b", ""): StyleTarget(terms.style_statistics(b, ["relu1"]), 1 - share),
        }
        found = terms.style_terms({"relu1": features}, targets, weights)
        return terms.total(found)[0]

    def mixed(features):
        grams = [style.gram_matrix(y["relu1"]) for y in (a, b)]
        goal = share * grams[0] + (1 - share) * grams[1]
        return style.gram_distance(style.gram_matrix(features), goal)[0]

    gradients = [jax.grad(fn)(x["relu1"]) for fn in (added, mixed)]
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-8)


def test_an_unknown_statistic_is_refused(maps):
    with pytest.raises(ValueError, match="style_statistic"):
        terms.style_statistics(maps(1, 4, 4), ["relu1"], statistic="colour")
    x = maps(1, 4, 4)
    with pytest.raises(ValueError, match="distance: expected one of"):
        terms.content_terms(x, x, {"relu1": 1.0}, distance="manhattan")


def test_layer_weights_sum_to_the_whole():
    found = terms.layer_weights(50.0, list("abcd"), relative=(1, 1, 2, 1))
    assert sum(found.values()) == pytest.approx(50.0)
    assert found["c"] == pytest.approx(20.0)
    assert terms.layer_weights(4.0, ["a", "b"]) == {"a": 2.0, "b": 2.0}


@pytest.mark.parametrize("relative", [(0.0, 0.0), (1.0, -1.0), (1.0, float("nan"))])
def test_layer_weights_that_weigh_nothing_are_refused(relative):
    with pytest.raises(ValueError, match="at least 0, one of them above"):
        terms.layer_weights(1.0, ["a", "b"], relative=relative)
    with pytest.raises(ValueError, match="expected layers"):
        terms.layer_weights(1.0, [])
