"""Probes against scikit-learn in float64, and what a plausible fault would break."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from stylejax.explain.probes import fit_path, logistic_probe, ridge_probe

TALL, WIDE = (60, 8), (30, 50)
# Two classes and several, more examples than features and fewer.
CLASSES = [(TALL, 2), (WIDE, 4)]


def examples(shape, *, seed=0):
    """Correlated features of different units, and which of them are trained on.

    What is not trained on is far away: if it had a say in moments or fits, it would
    be seen.
    """
    generator = np.random.default_rng(seed)
    x = generator.normal(size=shape) @ generator.normal(size=(shape[1], shape[1]))
    x = x * np.exp(generator.normal(size=shape[1])) + 3 * generator.normal(
        size=shape[1]
    )
    weights = (np.arange(shape[0]) % 5 != 0).astype(np.float32)
    x[weights == 0] = 100
    return x.astype(np.float32), weights


def labels_of(x, weights, num_classes, *, seed=1):
    """Classes that the features nearly tell, by noisy linear scores."""
    generator = np.random.default_rng(seed)
    z = StandardScaler().fit(x[weights > 0]).transform(x)
    scores = z @ generator.normal(size=(x.shape[1], num_classes))
    noise = 2 * x.shape[1] ** 0.5 * generator.normal(size=scores.shape)
    return (scores + noise).argmax(1)


def standardized(x, weights):
    training = x[weights > 0].astype(np.float64)
    scaler = StandardScaler().fit(training)
    return scaler.transform(training), scaler


def close(got, expected, *, relative):
    expected = np.asarray(expected)
    np.testing.assert_allclose(got, expected, atol=relative * np.abs(expected).max())


@pytest.mark.parametrize("shape", [TALL, WIDE])
@pytest.mark.parametrize("l2", [0.1, 1.0, 100.0])
def test_ridge_agrees_with_scikit_learn(shape, l2):
    """Also where there are more features than examples: the dual form."""
    x, weights = examples(shape)
    y = x[:, :3] + np.random.default_rng(2).normal(size=(len(x), 3))
    z, scaler = standardized(x, weights)
    model = Ridge(alpha=l2).fit(z, y[weights > 0])
    probe = ridge_probe(x, y, l2=l2, weights=weights)
    scaled = np.asarray(probe.weights) * np.asarray(probe.scale)[:, None]
    close(scaled, model.coef_.T, relative=1e-4)
    close(probe.offset, model.intercept_, relative=1e-5)
    new = x + np.float32(0.3)
    close(probe.scores(new), model.predict(scaler.transform(new)), relative=1e-4)
    assert probe.converged


@pytest.mark.parametrize(("shape", "num_classes"), CLASSES)
def test_logistic_regression_agrees_with_scikit_learn(shape, num_classes):
    x, weights = examples(shape)
    labels = labels_of(x, weights, num_classes)
    z, scaler = standardized(x, weights)
    new = x + np.float32(0.3)
    for l2 in (0.1, 1.0, 100.0):
        model = LogisticRegression(C=1 / l2, tol=1e-9, max_iter=10_000)
        model.fit(z, labels[weights > 0])
        probe = logistic_probe(
            x, labels, num_classes=num_classes, l2=l2, weights=weights
        )
        assert probe.converged, l2
        assert 1 < probe.num_iterations < 20
        scaled = np.asarray(probe.weights) * np.asarray(probe.scale)[:, None]
        close(scaled, model.coef_.T, relative=1e-3)
        expected = model.decision_function(scaler.transform(new))
        expected = expected.reshape(len(new), -1)
        close(probe.scores(new), expected, relative=1e-3)
        if num_classes > 2:
            np.testing.assert_allclose(probe.weights.sum(1), 0, atol=1e-4)


@pytest.mark.parametrize(("shape", "num_classes"), CLASSES)
def test_the_gradient_at_the_solution_is_zero(shape, num_classes):
    """In float64, from the definition of the loss: what `converged` claims."""
    x, weights = examples(shape)
    labels = labels_of(x, weights, num_classes)
    z, _ = standardized(x, weights)
    for l2 in (1e-2, 1.0):
        probe = logistic_probe(
            x, labels, num_classes=num_classes, l2=l2, weights=weights
        )
        scaled = np.float64(probe.weights) * np.float64(probe.scale)[:, None]
        scores = z @ scaled + np.float64(probe.offset)
        one_hot = np.eye(num_classes)[labels[weights > 0]]
        if num_classes == 2:
            error = expit(scores) - one_hot[:, 1:]
        else:
            error = softmax(scores, axis=1) - one_hot
        gradient = z.T @ error + l2 * scaled
        # The root mean square length of standardised features is sqrt(d).
        size = np.sqrt(
            (gradient**2).sum() / shape[1] + (error.sum(0) ** 2).sum()
        ) / len(z)
        assert size < 2e-6
        assert probe.gradient_norm < 1e-6


def test_a_fit_that_was_stopped_early_says_so():
    x, weights = examples(WIDE)
    labels = labels_of(x, weights, 4)
    probe = logistic_probe(
        x, labels, num_classes=4, l2=0.1, weights=weights, max_iterations=1
    )
    assert not probe.converged
    assert probe.num_iterations == 1
    assert probe.gradient_norm > 1e-6


def test_the_intercept_is_not_penalized():
    """With a huge penalty what remains is the mean, or the log-odds of the classes."""
    x, weights = examples(TALL)
    y = np.stack([x[:, 0] + 7, x[:, 1] - 50, x[:, 2]], axis=1)
    probe = ridge_probe(x, y, l2=1e9, weights=weights)
    np.testing.assert_allclose(probe.offset, y[weights > 0].mean(0), rtol=1e-5)
    assert float(jnp.abs(probe.weights).max()) < 1e-4
    labels = (np.arange(60) % 10 == 1).astype(int)
    probe = logistic_probe(x, labels, num_classes=2, l2=1e9, weights=weights)
    share = labels[weights > 0].mean()
    np.testing.assert_allclose(probe.offset, np.log(share / (1 - share)), rtol=1e-4)


def test_the_unit_and_origin_of_a_feature_do_not_matter():
    x, weights = examples(TALL)
    labels = labels_of(x, weights, 2)
    unit = np.float32(10) ** np.arange(-3, 5)
    plain, other = (
        logistic_probe(v, labels, num_classes=2, weights=weights).scores(v)
        for v in (x, x * unit + unit)
    )
    np.testing.assert_allclose(other, plain, atol=2e-3 * float(jnp.abs(plain).max()))


def test_without_standardization_the_unit_matters_as_in_scikit_learn():
    x, weights = examples(TALL)
    y = np.stack([x[:, 0], x[:, 5], x.sum(1)], axis=1)
    model = Ridge(alpha=10).fit(x[weights > 0].astype(float), y[weights > 0])
    probe = ridge_probe(x, y, l2=10, weights=weights, standardize=False)
    close(probe.weights, model.coef_.T, relative=1e-4)
    close(probe.intercept, model.intercept_, relative=1e-4)


def test_classes_that_can_be_separated_still_have_a_minimum():
    """Without the penalty the weights would grow for ever."""
    x, weights = examples(TALL)
    labels = (x[:, 0] > np.median(x[:, 0])).astype(int)
    x[:, 0] += 20 * labels
    probe = logistic_probe(x, labels, num_classes=2, l2=1e-2, weights=weights)
    assert probe.converged
    predicted = np.asarray(probe.scores(x))[:, 0] > 0
    assert (predicted == labels)[weights > 0].all()


def test_steps_that_overshoot_are_shortened():
    """Heavy tails, a rare class and next to no penalty: whole Newton steps diverge."""
    generator = np.random.default_rng(11)
    x = generator.normal(size=TALL) * np.exp(2 * generator.normal(size=(TALL[0], 1)))
    labels = (generator.random(TALL[0]) < 0.05).astype(int)
    labels[:2] = [0, 1]
    probe = logistic_probe(x, labels, num_classes=2, l2=1e-5)
    assert probe.converged
    assert 5 < probe.num_iterations < 30


@pytest.mark.parametrize("seed", [19, 87])
def test_several_classes_converge_whatever_the_penalty(seed):
    """All logits may be shifted alike: a direction without curvature but rounding."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=WIDE)
    labels = generator.integers(4, size=WIDE[0])
    for l2 in (1e-3, 1e5):
        probe = logistic_probe(x, labels, num_classes=4, l2=l2)
        assert probe.converged
        assert np.isfinite(probe.weights).all()


def test_the_normals_are_where_the_scores_rise_fastest():
    x, weights = examples(TALL)
    probe = ridge_probe(x, x[:, :3], weights=weights)
    assert probe.normals.shape == (3, 8)
    moved = probe.scores(x + 2 * probe.normals[1][None]) - probe.scores(x)
    length = np.linalg.norm(probe.weights, axis=0)
    np.testing.assert_allclose(moved[:, 1], 2 * length[1], rtol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(probe.normals, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        probe.scores(jnp.zeros((1, 8)))[0], probe.intercept, rtol=1e-4, atol=1e-5
    )


def test_mistakes_end_in_one_line():
    x, _ = examples(TALL)
    labels = np.arange(60) % 2
    cases = [
        (lambda: ridge_probe(x, np.zeros(59)), "targets: expected finite values"),
        (lambda: ridge_probe(x, labels, l2=0), "l2: expected a number above 0"),
        (
            lambda: ridge_probe(x, labels, weights=-labels),
            "weights: expected one of at",
        ),
        (lambda: ridge_probe(x, labels, weights=0 * labels), "not all 0"),
        (lambda: logistic_probe(x, labels[1:], num_classes=2), "labels: expected one"),
        (lambda: fit_path(x, x, x, x, kind="svm"), "kind: expected one of ridge"),
    ]
    for call, match in cases:
        with pytest.raises(ValueError, match=match) as e:
            call()
        assert "\n" not in str(e.value)
