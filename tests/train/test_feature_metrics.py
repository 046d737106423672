"""What features say of translations whose answers are known, batch by batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.metrics import distribution, perceptual, structure, style
from stylejax.train import feature_metrics
from stylejax.train.feature_metrics import FeatureJudge
from stylejax.train.features import FeatureSource


def maps_of(images):
    return {"deep": images[:, ::2, ::2] + 0.1, "flat": jnp.square(images)}


SOURCE = FeatureSource(maps_of, "toy", ("flat", "deep"))


def judge(a, b, *, paired=True, batch_size=3):
    return FeatureJudge(a, b, paired, SOURCE, batch_size)


@pytest.fixture
def sets(generator):
    """Pictures of A and B, and two translations that are no use."""
    a, b, fake_b, fake_a = generator.uniform(0.1, 0.9, (4, 7, 8, 8, 3))
    sets = [x.astype(np.float32) for x in (a, b**2, fake_b, fake_a**2)]
    return sets[0], sets[1], {"AtoB": sets[2], "BtoA": sets[3]}


def expectation(output, source, truth):
    """All of it by the metrics of pictures, on the whole sets at once."""
    fn = {"feature_fn": maps_of}
    mean_style = {
        name: jnp.mean(gram, axis=0, keepdims=True)
        for name, gram in style.style_statistics(maps_of(truth)).items()
    }

    def to_style(images):
        found = style.style_statistics(maps_of(images))
        return style.statistics_distance(found, mean_style)

    return {
        "output": {
            "perceptual": perceptual.perceptual_distance(output, truth, **fn),
            "perceptual_change": perceptual.perceptual_distance(output, source, **fn),
            "content": style.content_distance(output, source, **fn),
            "structure": structure.structure_distance(output, source, **fn),
            "structure_similarity": structure.structure_similarity(
                output, source, **fn
            ),
            "style": to_style(output),
        },
        "unchanged": {
            "perceptual": perceptual.perceptual_distance(source, truth, **fn),
            "style": to_style(source),
        },
        "true": {"style": to_style(truth)},
        "vectors": {
            role: x[:, ::2, ::2].mean(axis=(1, 2)) + 0.1
            for role, x in (
                ("output", output),
                ("unchanged", source),
                ("true", truth),
            )
        },
    }


def test_every_value_is_that_of_the_metric_on_its_own(sets):
    a, b, outputs = sets
    found = judge(a, b)(outputs)
    for direction, source, truth in (("AtoB", a, b), ("BtoA", b, a)):
        expected = jax.jit(expectation)(outputs[direction], source, truth)
        for group, values in expected.items():
            got = getattr(found[direction], group)
            assert got.keys() == values.keys(), group
            for name, value in values.items():
                np.testing.assert_allclose(got[name], value, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 50])
def test_batches_do_not_matter(sets, batch_size):
    a, b, outputs = sets
    expected = judge(a, b)(outputs)
    found = judge(a, b, batch_size=batch_size)(outputs)
    for direction in expected:
        for want, got in zip(expected[direction], found[direction], strict=True):
            assert want.keys() == got.keys()
            for name in want:
                np.testing.assert_allclose(got[name], want[name], rtol=1e-4, atol=1e-6)


def test_unpaired_sets_may_differ_in_size_and_have_no_partners(sets):
    a, b, outputs = sets
    outputs = {"AtoB": outputs["AtoB"][:5], "BtoA": outputs["BtoA"]}
    found = judge(a[:5], b, paired=False)(outputs)
    assert found["AtoB"].output["style"].shape == (5,)
    assert found["BtoA"].output["content"].shape == (7,)
    assert found["AtoB"].true["style"].shape == (7,)
    assert found["AtoB"].vectors["true"].shape == (7, 3)
    for judged in found.values():
        assert "perceptual" not in judged.output | judged.unchanged


def test_features_of_every_picture_are_computed_once(sets):
    a, b, outputs = sets
    seen = []

    def watched(images):
        seen.append(images.shape[0])
        return maps_of(images)

    source = FeatureSource(watched, "toy", ("flat", "deep"))
    subject = FeatureJudge(a, b, True, source, 3)
    subject(outputs)
    # One shape is traced once, however many batches there are.
    assert seen == [3]
    maps, calls = subject._maps, []
    subject.__dict__["_maps"] = lambda x: calls.append(len(x)) or maps(x)
    subject(outputs)
    assert calls == [3] * 4 * 3


def test_distances_of_sets_are_on_the_scale_of_the_true_pictures(sets):
    a, b, outputs = sets
    judged = judge(a, b)(outputs)["AtoB"]
    scale = np.sqrt((judged.vectors["true"] ** 2).mean())
    x, y = (judged.vectors[n] / scale for n in ("output", "true"))
    found = feature_metrics.kernel_distances(judged, seed=3)
    assert found["output"] == distribution.kernel_distance(x, y, seed=3)
    assert set(found) == {"output", "unchanged"}
    frechet = feature_metrics.frechet_distances(judged)["output"]
    shift = ((x.mean(0) - y.mean(0)) ** 2).sum()
    assert frechet.value > shift and frechet.num_samples == (7, 7)


def test_the_true_pictures_themselves_are_nearest(sets):
    a, b, _ = sets
    found = judge(a, b)({"AtoB": b, "BtoA": a})
    for judged in found.values():
        np.testing.assert_allclose(judged.output["perceptual"], 0, atol=1e-6)
        np.testing.assert_allclose(judged.output["style"], judged.true["style"])
        distances = feature_metrics.kernel_distances(judged)
        assert distances["output"].value < distances["unchanged"].value
        assert feature_metrics.frechet_distances(judged)["output"].value < 1e-9


def test_too_few_pictures_or_none_finite_have_no_kernel_distance(sets):
    a, b, outputs = sets
    few = judge(a[:3], b[:3])({d: x[:3] for d, x in outputs.items()})["AtoB"]
    assert feature_metrics.kernel_distances(few) == {}
    broken = outputs | {"AtoB": np.full_like(a, np.nan)}
    judged = judge(a, b)(broken)["AtoB"]
    assert np.isnan(judged.output["content"]).all()
    assert set(feature_metrics.frechet_distances(judged)) == {"unchanged"}
