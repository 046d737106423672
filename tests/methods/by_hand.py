"""What the losses of several methods have in common, in NumPy."""

import numpy as np


def moments(x):
    """Mean and biased deviation of every channel."""
    x = np.asarray(x, np.float64)
    return x.mean((1, 2)), np.sqrt(x.var((1, 2)) + 1e-5)


def style_distance(found, goal):
    """Mean squared differences of means and of deviations, summed over the taps."""
    return sum(
        np.square(x - y).mean()
        for tap in goal
        for x, y in zip(moments(found[tap]), moments(goal[tap]), strict=True)
    )


def relative_gram(found, goal):
    """Squared distance of one picture's Gram matrix as a share of the goal's square."""

    def gram(x):
        flat = np.asarray(x, np.float64).reshape(-1, x.shape[-1])
        return flat.T @ flat / len(flat)

    return np.square(gram(found) - gram(goal)).sum() / np.square(gram(goal)).sum()


def adain(content, style):
    """Content features with the moments of the style's, unbiased."""
    content, style = (np.asarray(x, np.float64) for x in (content, style))

    def of(x):
        n = x.shape[1] * x.shape[2]
        spread = np.sqrt(x.var((1, 2), keepdims=True) * n / (n - 1) + 1e-5)
        return x.mean((1, 2), keepdims=True), spread

    (mean, spread), (goal_mean, goal_spread) = of(content), of(style)
    return (content - mean) / spread * goal_spread + goal_mean


def mean_square(x, y):
    """Mean squared difference."""
    return np.square(np.asarray(x, np.float64) - np.asarray(y, np.float64)).mean()


def mean_difference(x, y):
    """Mean absolute difference."""
    return np.abs(np.asarray(x, np.float64) - np.asarray(y, np.float64)).mean()
