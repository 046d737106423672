"""The autoencoder's networks: sizes, and what each of them cannot see."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from stylejax.models.latent_autoencoder import (
    ContentEncoder,
    FeatureEncoder,
    LatentDecoder,
    StyleCritic,
    StyleEncoder,
    placed,
    widths,
)

KEY = jax.random.key(0)


@pytest.mark.parametrize("num_downs", [1, 2, 4])
def test_sizes_fit_each_other(num_downs):
    side = 4 * 2**num_downs
    image = jnp.zeros((2, side, side, 3))
    encoder = ContentEncoder(5, width=4, num_downs=num_downs)
    decoder = LatentDecoder(width=4, num_ups=num_downs)
    latent = encoder.apply(encoder.init(KEY, image), image)
    assert latent.shape == (2, 5)
    style = jnp.zeros((2, 3))
    found = decoder.apply(decoder.init(KEY, latent, style), latent, style)
    assert found.shape == image.shape


def test_the_decoder_works_at_a_quarter_of_the_sides():
    decoder = LatentDecoder(width=4, num_ups=4)
    variables = decoder.init(KEY, jnp.zeros((1, 5)), jnp.zeros((1, 3)))["params"]
    outputs = {k: v["kernel"].shape[-1] for k, v in variables.items() if k != "still"}
    ups = [outputs[f"up{i}"] for i in range(4)]
    assert ups == [16, 16, 4, 2]
    assert {k for k in outputs if k.startswith("same")} == {"same0", "same1"}
    assert variables["still"].shape == (1, 64, 64, 2)


def test_what_stands_still_needs_no_content(generator):
    # With nothing drawn, pictures of all contents are the ground of their style.
    decoder = LatentDecoder(width=16, num_ups=2)
    contents = jnp.float32(generator.normal(size=(2, 5)))
    style = jnp.float32(generator.normal(size=(2, 3)))
    params = decoder.init(KEY, contents, style)["params"]
    found = decoder.apply({"params": params}, contents, style[:1].repeat(2, 0))
    assert float(jnp.abs(found[0] - found[1]).max()) > 1e-3
    params["up1"] = jax.tree.map(jnp.zeros_like, params["up1"])
    same = decoder.apply({"params": params}, contents, style[:1].repeat(2, 0))
    np.testing.assert_allclose(same[0], same[1], atol=1e-6)
    assert float(same[0].std(axis=(0, 1)).max()) > 1e-3
    other = decoder.apply({"params": params}, contents, style)
    assert float(jnp.abs(other[1] - same[1]).mean()) > 1e-3


def test_how_large_the_numbers_of_a_canvas_are_does_not_matter(generator):
    decoder = LatentDecoder(width=4, num_ups=3)
    content = jnp.float32(generator.normal(size=(2, 5)))
    style = jnp.float32(generator.normal(size=(2, 3)))
    params = decoder.init(KEY, content, style)["params"]
    found = decoder.apply({"params": params}, content, style)
    params["grid"] = jax.tree.map(lambda x: 7.0 * x, params["grid"])
    again = decoder.apply({"params": params}, content, style)
    np.testing.assert_allclose(again, found, atol=1e-3)


def test_a_canvas_is_placed_as_the_text_says(generator):
    canvas = generator.random((3, 8, 8, 2), np.float32)
    places = np.float32([[0, 0, 0], [0.25, -0.5, 0], [0.1, 0.3, 0.4]])
    found = placed(jnp.asarray(canvas), jnp.asarray(places))
    at = (2 * np.arange(8) + 1) / 8 - 1
    expected = np.zeros_like(canvas)
    for b, (right, down, zoom) in enumerate(places):
        for i, j in np.ndindex(8, 8):
            row = ((at[i] - down) / np.exp(zoom) + 1) * 4 - 0.5
            column = ((at[j] - right) / np.exp(zoom) + 1) * 4 - 0.5
            if max(abs(row - 3.5), abs(column - 3.5)) > 4:
                continue
            for p, q in np.ndindex(8, 8):
                share = max(0, 1 - abs(np.clip(row, 0, 7) - p))
                share *= max(0, 1 - abs(np.clip(column, 0, 7) - q))
                expected[b, i, j] += share * canvas[b, p, q]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found[0], canvas[0], atol=1e-6)
    np.testing.assert_allclose(found[1, :6, 1:], canvas[1, 2:, :7], atol=1e-6)


def test_a_canvas_that_is_shrunk_is_averaged():
    canvas = jnp.indices((16, 16)).sum(0)[None, :, :, None] % 4 < 2
    small = placed(jnp.float32(canvas), jnp.log(jnp.array([[1, 1, 0.25]])))[0, ..., 0]
    np.testing.assert_allclose(small[7:9, 7:9], 0.5, atol=0.1)
    assert not small[:5].any() and not small[:, -5:].any()


def test_three_numbers_move_and_enlarge_what_is_drawn(generator):
    content = jnp.float32(generator.normal(size=(1, 8))).at[:, :3].set(0.0)
    style = jnp.float32(generator.normal(size=(1, 3)))
    decoder = LatentDecoder(width=16, num_ups=3)
    params = decoder.init(KEY, content, style)["params"]
    params["still"] = jnp.zeros_like(params["still"])

    def render(place):
        given = content.at[:, :3].set(jnp.array(place) / 0.3)
        return decoder.apply({"params": params}, given, style)[0]

    first, moved = render([0.0, 0.0, 0.0]), render([0.25, 0.0, 0.0])
    np.testing.assert_allclose(moved[:, 5:-2], first[:, 1:-6], atol=1e-4)
    # Shrunk to a third, it leaves the corners empty.
    small = render([0.0, 0.0, -1.0])
    assert float(first[:8, :8].std(axis=(0, 1)).max()) > 1e-3
    assert float(small[:8, :8].std(axis=(0, 1)).max()) < 1e-6
    assert float(small[8:-8, 8:-8].std(axis=(0, 1)).max()) > 1e-3


def test_the_style_encoder_hardly_sees_where_things_are(generator):
    # Mid grey, which the padding continues.
    image = np.full((1, 32, 32, 3), 0.5, np.float32)
    image[:, 8:16, 8:16] = generator.random(3)
    moved = np.roll(image, 8, axis=(1, 2))
    encoder = StyleEncoder(4, width=4)
    variables = encoder.init(KEY, image)
    first, second = (encoder.apply(variables, jnp.asarray(x)) for x in (image, moved))
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


def test_the_content_encoder_does_not_see_contrast(generator):
    image = jnp.float32(generator.random((1, 32, 32, 3)))
    encoder = ContentEncoder(4, width=4, num_downs=3)
    variables = encoder.init(KEY, image)
    weaker = 0.5 + 0.7 * (image - 0.5)
    first, second = (encoder.apply(variables, x) for x in (image, weaker))
    scale = float(jnp.abs(first).max())
    np.testing.assert_allclose(first, second, atol=0.1 * scale)


def test_styles_change_what_is_rendered(generator):
    content = jnp.float32(generator.normal(size=(1, 5)))
    styles = jnp.float32(generator.normal(size=(2, 1, 3)))
    decoder = LatentDecoder(width=4, num_ups=2)
    variables = decoder.init(KEY, content, styles[0])
    first, second = (decoder.apply(variables, content, s) for s in styles)
    assert float(jnp.abs(first - second).mean()) > 1e-3


def test_the_critic_has_a_logit_for_each_style_and_channels_double():
    critic = StyleCritic(3)
    content = jnp.zeros((4, 5))
    assert critic.apply(critic.init(KEY, content), content).shape == (4, 3)
    assert widths(8, 5) == [8, 16, 32, 32, 32]


def test_the_critic_finds_a_style_that_is_in_spreads_alone(generator):
    # Fresh vectors in each step, as in a training: what is remembered is no help.
    critic, style = StyleCritic(2), np.repeat([0, 1], 32)
    batches = generator.normal(size=(220, 64, 32)).astype(np.float32)
    batches[:, 32:] *= 1.5
    params, adam = critic.init(KEY, batches[0])["params"], optax.adam(3e-3)

    def loss(params, vectors):
        logs = jax.nn.log_softmax(critic.apply({"params": params}, vectors))
        return -jnp.mean(logs[jnp.arange(64), style])

    @jax.jit
    def step(params, moments, vectors):
        updates, moments = adam.update(jax.grad(loss)(params, vectors), moments)
        return optax.apply_updates(params, updates), moments

    moments = adam.init(params)
    for vectors in batches[:200]:
        params, moments = step(params, moments, vectors)
    new = np.concatenate(batches[200:])
    guessed = critic.apply({"params": params}, new).argmax(axis=1)
    assert np.mean(guessed == np.tile(style, 20)) > 0.75


def test_feature_maps_become_vectors_and_pass_gradients_on(generator):
    maps = jnp.float32(generator.random((2, 8, 8, 6)))
    encoder = FeatureEncoder(5, width=2)
    variables = encoder.init(KEY, maps)
    assert encoder.apply(variables, maps).shape == (2, 5)
    # One scale for all maps changes little: what is active is looked at, not how much.
    near, far = (encoder.apply(variables, m) for m in (100 * maps, 400 * maps))
    np.testing.assert_allclose(near, far, atol=0.02 * float(jnp.abs(near).max()))
    # A position where nothing is active still has a gradient.
    slope = jax.grad(lambda m: encoder.apply(variables, m).sum())(jnp.zeros_like(maps))
    assert np.isfinite(slope).all()
