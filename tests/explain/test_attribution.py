"""Integrated gradients against answers known in closed form, and their audits.

The letters (a) to (i) are the acceptance list of the published completeness protocol:
what an implementation must show before its maps are worth looking at.
"""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain import (
    RULES,
    Attribution,
    CompletenessWarning,
    average_gradient,
    integrated_gradients,
    parse_target,
    region_mean,
)
from stylejax.explain.baselines import blur_baseline

RED = region_mean("red", box=(8, 8, 12, 12))
CONSTANTS = ("zero", "black", "grey", "white")


def uniform(seed, *shape):
    return jax.random.uniform(jax.random.key(seed), shape)


@pytest.fixture(scope="module")
def generate(make_generator):
    """A random smooth generator with instance norms."""
    return make_generator(seed=2)


@pytest.fixture(scope="module")
def fn(generate):
    """The red of a region of what it paints; jitted, so that tests share a compile."""
    return jax.jit(RED.of(generate))


@pytest.fixture(scope="module")
def kinked_fn(make_generator):
    """The same with ReLU."""
    return jax.jit(RED.of(make_generator(seed=2, activation=jax.nn.relu)))


@pytest.fixture(scope="module")
def unnormed_fn(make_generator):
    """The first without norms."""
    return jax.jit(RED.of(make_generator(seed=1, norm=lambda x: x)))


# --- (a) linear functions are exact under every rule --------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("num_steps", [2, 3, 10, 50])
def test_linear_functions_are_exact(rule, num_steps):
    """A trapezoid whose weights sum to (n-1)/n would be 2 % low at 50 steps."""
    weights, image = uniform(0, 6, 5, 3), uniform(1, 6, 5, 3)

    def fn(images):
        return (images * weights[None]).sum(axis=(1, 2, 3))

    result = integrated_gradients(
        fn, image, baseline="zero", num_steps=num_steps, rule=rule
    )
    assert result.relative_error < 1e-6
    np.testing.assert_allclose(result.map, weights * image, rtol=1e-6)


# --- (b) polynomials are exact as soon as the rule's degree allows it ---------------


@pytest.mark.parametrize(("degree", "num_steps"), [(2, 1), (4, 2), (6, 3), (16, 8)])
def test_polynomials_are_exact_with_half_their_degree_of_nodes(degree, num_steps):
    image = 0.5 + uniform(1, 6, 5, 3)

    def fn(images):
        return (images**degree).sum(axis=(1, 2, 3))

    result = integrated_gradients(fn, image, baseline="zero", num_steps=num_steps)
    assert result.relative_error < 1e-6
    np.testing.assert_allclose(result.map, image**degree, rtol=5e-6)


def test_a_node_too_few_is_not_exact():
    """The test of the test above."""

    def quartic(images):
        return (images**4).sum(axis=(1, 2, 3))

    result = integrated_gradients(
        quartic, uniform(1, 6, 5, 3), baseline="zero", num_steps=1
    )
    assert result.relative_error > 0.1


def test_each_feature_gets_its_own_difference():
    """5 a + b^2 + sin c from (0.5, 1, 1) to (1, 2, 3), feature by feature."""

    def fn(images):
        a, b, c = (images[:, 0, 0, i] for i in range(3))
        return 5 * a + b**2 + jnp.sin(c)

    result = integrated_gradients(
        fn,
        jnp.array([[[1.0, 2.0, 3.0]]]),
        baseline=jnp.array([[[0.5, 1.0, 1.0]]]),
        num_steps=8,
    )
    expected = [2.5, 3.0, np.sin(3) - np.sin(1)]
    np.testing.assert_allclose(result.map[0, 0], expected, atol=2e-6)


def test_the_paper_s_kinked_example():
    """relu(relu(a) - 1 - relu(b)) at (3, 1) from 0 is exactly (1.5, -0.5)."""

    def fn(images):
        a, b = images[:, 0, 0, 0], images[:, 0, 0, 1]
        return jax.nn.relu(jax.nn.relu(a) - 1 - jax.nn.relu(b))

    result = integrated_gradients(fn, jnp.array([[[3.0, 1.0]]]), baseline="zero")
    np.testing.assert_allclose(result.map[0, 0], [1.5, -0.5], atol=1e-6)


# --- generators with a known answer: translation, channel swap, blur, AdaIN ---------


def shifted(images):
    return jnp.roll(images, (2, -3), axis=(1, 2))


def swapped(images):
    return images[..., ::-1]


def identity(images):
    return images


def box_blurred(images):
    rolls = [
        jnp.roll(images, (i, j), axis=(1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1)
    ]
    return sum(rolls) / 9


@pytest.mark.parametrize("generate", [identity, shifted, swapped, box_blurred])
def test_analytic_generators(generate, picture):
    """The map of a mean is (x - x') times the generator's adjoint of the box."""
    result = integrated_gradients(RED.of(generate), picture)
    box = jnp.zeros((1, 32, 32, 3)).at[:, 8:20, 8:20, 0].set(1 / 144)
    adjoint = jax.linear_transpose(generate, box)(box)[0][0]
    expected = (picture - blur_baseline(picture)) * adjoint
    assert float(jnp.abs(expected).max()) > 1e-4
    np.testing.assert_allclose(result.map, expected, atol=1e-9)


def test_fixed_statistics_adain_is_linear_in_the_picture(picture):
    """With the content's own statistics frozen, AdaIN scales each channel."""
    scale, shift = jnp.array([2.0, -1.0, 0.5]), jnp.array([0.1, 0.2, 0.3])

    def adain(images):
        normed = (images - 0.5) / 0.25
        return normed * scale[None, None, None] + shift[None, None, None]

    result = integrated_gradients(region_mean("green").of(adain), picture)
    expected = (picture - blur_baseline(picture))[..., 1] * -4 / 1024
    np.testing.assert_allclose(result.map[..., 1], expected, atol=1e-8)
    assert float(jnp.abs(result.map[..., ::2]).max()) == 0


# --- (c), (d) random generators with instance norm ----------------------------------


@pytest.mark.parametrize("seed", [0, 2])
def test_smooth_generators_are_complete_at_32_steps(seed, fn, make_generator, picture):
    fn = fn if seed == 2 else RED.of(make_generator(seed=seed))
    result = integrated_gradients(fn, picture)
    assert result.num_steps == 32
    assert result.relative_error < 1e-4


@pytest.mark.parametrize("seed", [2, 3])
def test_kinked_generators_are_complete_at_128_steps(
    seed, kinked_fn, make_generator, picture
):
    """The last per cents go slowly: every kink the path crosses is a jump."""
    other = make_generator(seed=seed, activation=jax.nn.relu)
    fn = kinked_fn if seed == 2 else RED.of(other)
    result = integrated_gradients(fn, picture, num_steps=128)
    assert result.relative_error < 0.02


def test_gauss_legendre_beats_the_other_rules(fn, picture):
    errors = {
        rule: integrated_gradients(fn, picture, rule=rule).relative_error
        for rule in RULES
    }
    assert min(errors, key=errors.get) == "gauss_legendre"
    assert errors["left"] > errors["trapezoid"] > 10 * errors["gauss_legendre"]


# --- (e) constant baselines that a norm makes meaningless ---------------------------


@pytest.mark.parametrize("network", ["fn", "kinked_fn"])
@pytest.mark.parametrize("baseline", CONSTANTS)
def test_a_constant_baseline_is_refused(baseline, network, picture, request):
    fn = request.getfixturevalue(network)
    with pytest.raises(ValueError, match="got a constant colour") as e:
        integrated_gradients(fn, picture, baseline=baseline)
    message = str(e.value)
    for remedy in ("baseline='blur'", "another picture", "allow_constant_baseline"):
        assert remedy in message
    assert "normalisation layer cancels the path" in message
    assert "\n" not in message


def test_a_constant_array_is_refused_as_well(fn, picture):
    """Any flat colour, one per channel, also with the noise of a JPEG."""
    colour = jnp.broadcast_to(jnp.array([0.9, 0.2, 0.4])[None, None], picture.shape)
    for flat in (colour, colour + uniform(0, 32, 32, 3) / 512):
        with pytest.raises(ValueError, match="got a constant colour"):
            integrated_gradients(fn, picture, baseline=flat)


def test_forcing_a_constant_baseline_shows_how_wrong_it_is(fn, picture):
    """The reason for the refusal: most of the change is missing from the map."""
    result = integrated_gradients(
        fn,
        picture,
        baseline="zero",
        allow_constant_baseline=True,
    )
    assert result.relative_error > 0.3


@pytest.mark.parametrize("baseline", ["blur", "noise"])
def test_baselines_with_content_are_not_refused(baseline, fn, picture):
    assert integrated_gradients(fn, picture, baseline=baseline).relative_error < 1e-3


@pytest.mark.parametrize("baseline", ["zero", "white"])
def test_networks_without_norms_may_have_a_constant(baseline, unnormed_fn, picture):
    result = integrated_gradients(unnormed_fn, picture, baseline=baseline)
    assert result.relative_error < 1e-3


def test_a_target_that_ignores_the_picture_is_not_refused(picture):
    """No change at all is no saturated change."""
    result = integrated_gradients(
        lambda x: 0 * x.sum(axis=(1, 2, 3)) + 3, picture, baseline="zero"
    )
    assert float(jnp.abs(result.map).max()) == 0
    assert np.isnan(result.relative_error)


def test_a_step_function_near_the_baseline_is_caught_without_any_norm(picture):
    """The rule sees no model: what saturates at once is refused whatever it is."""

    def saturating(images):
        return jnp.tanh(1000 * images.mean(axis=(1, 2, 3)))

    with pytest.raises(ValueError, match="got a constant colour"):
        integrated_gradients(saturating, picture, baseline="zero")
    assert np.isfinite(integrated_gradients(saturating, picture).sum)


# --- (f) chunks, (g) linearity, (h) invariances -------------------------------------


def test_chunk_sizes_agree(fn, picture):
    maps = [integrated_gradients(fn, picture, chunk=c).map for c in (1, 16, 32)]
    scale = float(jnp.abs(maps[0]).max())
    for other in maps[1:]:
        np.testing.assert_allclose(other / scale, maps[0] / scale, atol=1e-5)


def test_tiles_add_up_to_the_whole(generate, picture):
    """Four tiles and the whole in one compile, as a vmap over targets."""
    tiles = np.zeros((2, 2, 32, 32), np.float32)
    for i, j in np.ndindex(2, 2):
        tiles[i, j, 16 * i : 16 * i + 16, 16 * j : 16 * j + 16] = 1
    masks = np.concatenate([tiles.reshape(4, 32, 32), np.ones((1, 32, 32))])
    start = blur_baseline(picture)

    @jax.jit
    @jax.vmap
    def attribute(mask):
        def region_sum(images):
            return (generate(images)[..., 0] * mask[None]).sum(axis=(1, 2))

        gradient = average_gradient(region_sum, picture, start, num_steps=4, chunk=1)
        return (picture - start) * gradient

    *parts, whole = attribute(masks)
    scale = float(jnp.abs(jnp.stack(parts)).max())
    assert float(jnp.abs(parts[0] - parts[3]).max()) > 0.1 * scale
    np.testing.assert_allclose(sum(parts) / scale, whole / scale, atol=1e-5)


def test_twice_the_function_has_twice_the_map(fn, picture):
    once = integrated_gradients(fn, picture)
    twice = integrated_gradients(lambda x: 2 * fn(x), picture)
    np.testing.assert_allclose(twice.map, 2 * once.map, rtol=1e-6, atol=1e-12)
    assert twice.target == 2 * once.target


@pytest.mark.parametrize("flat", [False, True])
def test_a_picture_against_itself_is_exactly_zero(flat, fn, picture):
    image = jnp.full_like(picture, 0.3) if flat else picture
    result = integrated_gradients(fn, image, baseline=image)
    assert float(jnp.abs(result.map).max()) == 0
    assert result.sum == result.absolute_error == 0
    assert np.isnan(result.relative_error)


def test_swapping_picture_and_baseline_flips_the_signs(fn, picture):
    other = picture[::-1, ::-1]
    there = integrated_gradients(fn, picture, baseline=other)
    back = integrated_gradients(fn, other, baseline=picture)
    scale = float(jnp.abs(there.map).max())
    np.testing.assert_allclose(there.map / scale, -back.map / scale, atol=1e-5)


def conv_by_patches(x, kernel, *, stride=1):
    """The convolution of the test networks, as one matrix product with patches."""
    side, _, channels, features = kernel.shape
    pad = side // 2
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="reflect")
    patches = jax.lax.conv_general_dilated_patches(
        x,
        (side, side),
        (stride, stride),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    by_channel = kernel.transpose(2, 0, 1, 3).reshape(channels * side**2, features)
    return patches @ by_channel


def test_two_implementations_of_one_network_agree(fn, make_generator, picture):
    other = make_generator(seed=2, conv=conv_by_patches)
    fused, unfused = (integrated_gradients(f, picture) for f in (fn, RED.of(other)))
    scale = float(jnp.abs(fused.map).max())
    np.testing.assert_allclose(unfused.map / scale, fused.map / scale, atol=1e-5)


def test_what_the_target_ignores_gets_nothing():
    """Sensitivity: the map is zero outside what the function reads."""
    result = integrated_gradients(RED, uniform(0, 32, 32, 3), num_steps=4)
    outside = result.map.at[8:20, 8:20, 0].set(0)
    assert float(jnp.abs(outside).max()) == 0
    assert float(jnp.abs(result.map[8:20, 8:20, 0]).min()) > 0


# --- (i) a change too small to divide by --------------------------------------------


def test_a_tiny_change_leaves_the_relative_error_undefined(picture):
    def nearly_flat(images):
        return 5 + 1e-4 * (images**2).mean(axis=(1, 2, 3))

    result = integrated_gradients(nearly_flat, picture, baseline="zero")
    assert result.floor == pytest.approx(5e-3, rel=1e-3)
    assert np.isnan(result.relative_error)
    assert 0 <= result.absolute_error < 1e-5
    assert "undefined" in result.summary()
    assert "absolute error" in result.summary()


def test_just_above_the_floor_it_is_defined(picture):
    def fn(images):
        return 1 + 4e-3 * images.mean(axis=(1, 2, 3))

    result = integrated_gradients(fn, picture, baseline="zero")
    change = result.target - result.target_baseline
    assert result.floor < change < 2.5 * result.floor
    assert result.relative_error == result.absolute_error / change


# --- what comes back ----------------------------------------------------------------


def test_the_numbers_of_an_attribution_fit_together(fn, picture):
    result = integrated_gradients(fn, picture)
    assert result.target == pytest.approx(float(fn(picture[None])[0]), rel=1e-5)
    start = blur_baseline(picture)[None]
    assert result.target_baseline == pytest.approx(float(fn(start)[0]), rel=1e-5)
    assert result.sum == pytest.approx(float(result.map.sum()), rel=1e-4)
    change = result.target - result.target_baseline
    assert result.absolute_error == abs(result.sum - change)
    assert result.relative_error == result.absolute_error / abs(change)


def test_the_fields_that_others_rely_on():
    names = [field.name for field in dataclasses.fields(Attribution)]
    assert names[:7] == [
        "map",
        "target",
        "target_baseline",
        "sum",
        "absolute_error",
        "relative_error",
        "num_steps",
    ]


def test_the_map_has_the_shape_of_the_picture(picture):
    alone = integrated_gradients(RED, picture, num_steps=2)
    batched = integrated_gradients(RED, picture[None], num_steps=2)
    from_numpy = integrated_gradients(RED, np.asarray(picture), num_steps=2)
    assert alone.map.shape == picture.shape
    assert batched.map.shape == (1, *picture.shape)
    np.testing.assert_array_equal(alone.map, batched.map[0])
    np.testing.assert_array_equal(alone.map, from_numpy.map)


def test_the_summary_is_one_line_with_the_numbers(picture):
    result = integrated_gradients(RED, picture, num_steps=4)
    text = result.summary()
    assert "\n" not in text
    for part in (f"{result.sum:.5g}", f"{result.relative_error:.2e}", "4 steps"):
        assert part in text


def test_a_target_written_as_text(picture):
    by_text, by_hand = (
        integrated_gradients(target, picture, num_steps=2).map
        for target in (parse_target("mean:red@8,8,12,12"), RED)
    )
    np.testing.assert_array_equal(by_text, by_hand)


def test_pictures_of_any_number_of_channels():
    image = uniform(0, 8, 8, 5)
    result = integrated_gradients(region_mean(4), image, baseline="noise", num_steps=2)
    assert result.map.shape == (8, 8, 5)
    assert float(jnp.abs(result.map[..., :4]).max()) == 0


def test_a_signed_picture_and_a_half_precision_one():
    image = uniform(0, 8, 8, 3).astype(jnp.bfloat16)
    result = integrated_gradients(region_mean("red"), image * 2 - 1, num_steps=2)
    assert result.map.dtype == jnp.float32
    assert result.relative_error < 1e-5


# --- tolerance ----------------------------------------------------------------------


def oscillating(images):
    return jnp.sin(40 * images.mean(axis=(1, 2, 3)))


def bright(side=8):
    return jnp.full((side, side, 3), 0.9).at[0, 0].set(0.5)


def test_tolerance_halves_the_path_until_it_is_met():
    loose = integrated_gradients(oscillating, bright(), baseline="zero", num_steps=4)
    tight = integrated_gradients(
        oscillating, bright(), baseline="zero", num_steps=4, tolerance=1e-3
    )
    assert loose.relative_error > 1e-2
    assert tight.relative_error <= 1e-3
    assert 8 <= tight.num_steps <= 64 and tight.num_steps % 4 == 0
    again = integrated_gradients(oscillating, bright(), baseline="zero", num_steps=128)
    np.testing.assert_allclose(tight.map, again.map, rtol=2e-3, atol=1e-7)


def test_only_the_pieces_that_do_not_add_up_are_halved():
    """A kink at one place: the pieces around it get smaller, the others stay."""

    def kinked(images):
        return jax.nn.relu(images.mean(axis=(1, 2, 3)) - 0.37)

    image = jnp.ones((4, 4, 3)).at[0, 0].set(0.9)
    tight = integrated_gradients(
        kinked, image, baseline="zero", num_steps=4, tolerance=1e-4
    )
    even = integrated_gradients(kinked, image, baseline="zero", num_steps=128)
    assert tight.relative_error <= 1e-4 < even.relative_error
    assert tight.num_steps < 64


def test_the_error_map_bounds_the_true_error_of_smooth_and_kinked_networks(
    fn, kinked_fn, picture
):
    """Against many nodes: together, and pixel by pixel for most."""
    for network, steps in ((fn, 32), (kinked_fn, 128)):
        rough = integrated_gradients(network, picture, num_steps=8)
        exact = integrated_gradients(network, picture, num_steps=steps)
        truth = np.abs(rough.map - exact.map)
        assert rough.error_map.shape == picture.shape
        assert truth.sum() <= float(rough.error_map.sum())
        assert np.mean(truth <= rough.error_map + 1e-9) > 0.5
        assert exact.error_estimate < rough.error_estimate
    assert "(rule)" in rough.summary()


def test_one_step_has_no_error_map(picture):
    result = integrated_gradients(RED, picture, num_steps=1)
    assert result.error_map is None and np.isnan(result.error_estimate)
    assert "pixels within" not in result.summary()


def test_tolerance_that_is_met_at_once_costs_nothing():
    result = integrated_gradients(
        region_mean("red"), bright(), num_steps=4, tolerance=1e-3
    )
    assert result.num_steps == 4


def test_tolerance_that_is_not_met_says_so():
    with pytest.warns(CompletenessWarning, match="tolerance 1e-05 not met") as caught:
        result = integrated_gradients(
            oscillating,
            bright(),
            baseline="zero",
            num_steps=4,
            rule="right",
            tolerance=1e-5,
            max_num_steps=40,
        )
    assert 32 <= result.num_steps <= 40
    assert result.relative_error > 1e-5
    (warning,) = caught
    assert f"after {result.num_steps} right steps" in str(warning.message)
    assert "\n" not in str(warning.message)


def test_the_warning_points_at_the_caller():
    with pytest.warns(CompletenessWarning) as caught:
        integrated_gradients(
            oscillating,
            bright(),
            baseline="zero",
            rule="left",
            num_steps=2,
            tolerance=1e-6,
            max_num_steps=2,
        )
    assert caught[0].filename == __file__


def test_tolerance_of_a_change_below_the_floor_is_a_share_of_the_floor(picture):
    def fn(images):
        return 5 + 1e-4 * (images**3).mean(axis=(1, 2, 3))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = integrated_gradients(fn, picture, baseline="zero", tolerance=1e-2)
    assert np.isnan(result.relative_error)
    assert result.absolute_error <= 1e-2 * result.floor


@pytest.mark.parametrize("tolerance", [0, -1e-3, float("nan")])
def test_a_tolerance_must_be_positive(tolerance, picture):
    with pytest.raises(ValueError, match="tolerance: expected a number above 0"):
        integrated_gradients(RED, picture, tolerance=tolerance)


# --- mistakes -----------------------------------------------------------------------


def refuses(match, error=ValueError, *, fn=RED, image=None, **options):
    image = uniform(0, 32, 32, 3) if image is None else image
    with pytest.raises(error, match=match) as e:
        integrated_gradients(fn, image, **options)
    assert "\n" not in str(e.value)


def test_a_batch_of_pictures():
    refuses("expected one picture, got a batch of 2", image=uniform(0, 2, 32, 32, 3))


@pytest.mark.parametrize("shape", [(32, 32), (3,), (), (1, 1, 32, 32, 3), (0, 4, 3)])
def test_what_is_no_picture(shape):
    refuses(r"expected one picture \(h, w, c\)", image=np.zeros(shape, np.float32))


def test_pictures_of_whole_numbers():
    refuses("image.color.to_float", TypeError, image=np.zeros((8, 8, 3), np.uint8))


def test_a_picture_that_is_not_finite():
    refuses("image: expected finite", image=np.full((8, 8, 3), np.nan, np.float32))


def test_a_function_of_the_wrong_kind_is_told_about_targets():
    refuses(r"got float32 of shape \(1, 32, 32, 3\); put a target", fn=identity)
    refuses("got int32 of shape", fn=lambda x: x.argmax())
    refuses("got tuple", fn=lambda x: (RED(x), RED(x)))


def test_a_target_that_is_not_finite():
    refuses("expected a finite target, got inf", fn=lambda x: RED(x) / 0)


def test_unknown_names_list_what_exists():
    refuses("gauss_legendre, midpoint, trapezoid, left, right", rule="simpson")
    refuses("blur, noise, zero, black, grey, white", baseline="gray")


def test_a_box_outside_the_picture():
    fn = region_mean("red", box=(30, 0, 4, 4))
    refuses("expected a box inside the picture, 32 wide and 32 high", fn=fn)
