"""Can a network tell generated pictures from real ones? A two-sample test.

A small discriminator learns real against generated on one set of pictures and is asked
on pictures it has not seen: one half right means it found no difference, 1.0 that it
always can tell. What it finds need not be what an eye would.

Reference: Lopez-Paz and Oquab 2017, https://arxiv.org/abs/1610.06545.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from stylejax.checks import check_image
from stylejax.data.sources import ArraySource, TwoDomainDataset
from stylejax.image import color
from stylejax.models.patch_discriminator import PatchDiscriminator
from stylejax.train import augment, optim
from stylejax.train.evaluate import Evaluator, TranslateFn, make_evaluator


def classifier_accuracy(
    key: jax.Array,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    *,
    num_steps: int = 200,
    batch_size: int = 16,
    width: int = 16,
) -> float:
    """Returns the accuracy on test pictures of a classifier trained for this.

    A PatchGAN of three strided layers votes by its mean logit; Adam 1e-3, translated
    pictures, equal halves in every batch. Both classes weigh the same in the result.

    Args:
      key: PRNG key of initialisation, batches and augmentation.
      train: (real, generated) pictures `n h w 3` in [0, 1], sides 32 or more.
      test: (real, generated) pictures the classifier has not seen, nor their partners.
      num_steps: training steps.
      batch_size: pictures of each class a step.
      width: channels after the first layer.

    Returns:
      Mean of the two classes' accuracies, in [0, 1].

    Raises:
      ValueError: a set is empty or holds no pictures.
    """
    for images in (*train, *test):
        check_image(images, name="images")
        if not len(images):
            raise ValueError("expected pictures in all four sets, got an empty one")
    net = PatchDiscriminator(width, 3)
    init_key, train_key = jax.random.split(key)
    params = net.init(init_key, color.to_signed(jnp.asarray(train[0][:1])))["params"]
    optimizer = optim.direction("adam", beta1=0.9, beta2=0.999)
    opt_state = optimizer.init(params)
    step = jax.jit(functools.partial(_step, net, optimizer))
    chance = np.random.default_rng(np.asarray(jax.random.key_data(train_key)))
    for number in range(num_steps):
        halves = [x[chance.integers(len(x), size=batch_size)] for x in train]
        step_key = jax.random.fold_in(train_key, number)
        params, opt_state = step(step_key, params, opt_state, np.concatenate(halves))
    vote = jax.jit(functools.partial(_vote, net))
    real, generated = (_in_parts(vote, params, x, batch_size) for x in test)
    return float((np.mean(real > 0) + np.mean(generated <= 0)) / 2)


def training_pictures(dataset: TwoDomainDataset, *, image_size: int) -> Evaluator:
    """Returns the training pictures of a data set in the place of test pictures.

    Args:
      dataset: two domains.
      image_size: side the pictures are resized to, in pixels.

    Returns:
      An unpaired `Evaluator`.
    """
    known = TwoDomainDataset(
        dataset.name,
        ArraySource([]),
        ArraySource([]),
        dataset.train_a,
        dataset.train_b,
        paired=False,
    )
    return make_evaluator(known, image_size=image_size)


def translation_accuracy(
    key: jax.Array, train: Evaluator, test: Evaluator, translate_fn: TranslateFn
) -> dict[str, dict[str, float]]:
    """Returns how well classifiers tell true pictures of a domain from translations.

    Args:
      key: PRNG key of the classifiers.
      train: pictures the classifiers learn from.
      test: pictures they are asked about.
      translate_fn: (pictures, direction) to pictures; jit it.

    Returns:
      By direction classifier_accuracy and classifier_accuracy_unchanged, the accuracy
      where the inputs are left as they are.
    """
    accuracies = {}
    for direction, truth, source in (
        ("AtoB", "test_b", "test_a"),
        ("BtoA", "test_a", "test_b"),
    ):
        translated, unchanged = [], []
        for pictures in (train, test):
            real = getattr(pictures, truth)
            translated.append((real, pictures.translate(translate_fn, direction)))
            unchanged.append((real, getattr(pictures, source)))
        accuracies[direction] = {
            "classifier_accuracy": classifier_accuracy(key, *translated),
            "classifier_accuracy_unchanged": classifier_accuracy(key, *unchanged),
        }
    return accuracies


def _vote(net: PatchDiscriminator, params, images: jax.Array) -> jax.Array:
    logits = net.apply({"params": params}, color.to_signed(images))
    return jnp.mean(logits, axis=(1, 2, 3))


def _step(net, optimizer, key: jax.Array, params, opt_state, images: jax.Array):
    half = images.shape[0] // 2
    sign = jnp.where(jnp.arange(2 * half) < half, 1.0, -1.0)
    draws = augment.draw(key, 2 * half)
    seen = augment.apply(images, draws, kinds=("translation",))

    def loss(params):
        return jnp.mean(jax.nn.softplus(-sign * _vote(net, params, seen)))

    grads = jax.grad(loss)(params)
    rate = jnp.array(1e-3)
    return optim.descend(optimizer, params, opt_state, grads, rate=rate)


def _in_parts(vote, params, images: np.ndarray, size: int) -> np.ndarray:
    starts = range(0, len(images), size)
    return np.concatenate(
        [np.asarray(vote(params, images[i : i + size])) for i in starts]
    )
