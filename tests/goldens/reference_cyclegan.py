"""The reference CycleGAN algorithm in PyTorch, written from its published description.

An independent second opinion on `stylejax.methods.cyclegan`: nothing here is imported
by the package or its tests. The order of an update:

1. one forward pass: fakes, cycles and identities of both directions;
2. both generators: LSGAN + 10 cycle + 5 identity, summed; one optimiser step;
3. both discriminators, on the real pictures and on what the pools answer to the fakes
   of step 1 (made before the generators moved), each loss halved; one optimiser step.

The learning rate is constant, then falls linearly: `decay_factor`.
"""

from dataclasses import dataclass

import reference_networks as reference
import torch
from torch.nn import functional as F


@dataclass(frozen=True)
class Recipe:
    """The hyper-parameters of a run; names as in our configuration."""

    ngf: int = 4
    num_blocks: int = 1
    upsample: str = "transpose"
    ndf: int = 4
    num_layers: int = 2
    cycle_weight: float = 10.0
    identity_weight: float = 0.5
    pool_size: int = 2
    generator_lr: float = 2e-4
    discriminator_lr: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    optimizer: str = "adam"
    constant_epochs: int = 1
    decay_epochs: int = 2
    steps_per_epoch: int = 1


def decay_factor(epoch, recipe):
    """1 while constant, then falling linearly, of the 1-based `epoch`."""
    late = max(0, epoch - recipe.constant_epochs)
    return 1.0 - late / (recipe.decay_epochs + 1)


class ImagePool:
    """The history of fakes, its coin flips and draws given instead of random.

    Until `size` pictures are held, a new one is stored and returned. Later, where
    `swap` says so, the stored picture `index` is returned and the new one replaces it;
    otherwise the new one is returned and not stored.
    """

    def __init__(self, size):
        self.size = size
        self.images = []

    def query(self, images, swap, index):
        """What the discriminator sees for `images`, one after the other."""
        answers = []
        for image, swapped, slot in zip(images, swap, index, strict=True):
            if len(self.images) < self.size:
                self.images.append(image)
                answers.append(image)
            elif swapped:
                answers.append(self.images[slot])
                self.images[slot] = image
            else:
                answers.append(image)
        return torch.stack(answers)


def towards(logits, target):
    """The LSGAN distance of `logits` to `target`: the mean over everything."""
    return F.mse_loss(logits, torch.full_like(logits, target))


class CycleGAN:
    """Two generators, two discriminators, and the update that trains them."""

    def __init__(self, recipe, seed):
        self.recipe = recipe
        self.networks = {
            "generator/AtoB": self._generator(),
            "generator/BtoA": self._generator(),
            "discriminator/A": self._discriminator(),
            "discriminator/B": self._discriminator(),
        }
        for i, network in enumerate(self.networks.values()):
            reference.draw_weights(network, seed + i, std=0.02, bias_std=0.02)
        self.pools = {d: ImagePool(recipe.pool_size) for d in "ab"}
        self.generator_optimizer = self._optimizer("generator", recipe.generator_lr)
        self.discriminator_optimizer = self._optimizer(
            "discriminator", recipe.discriminator_lr
        )
        self.step = 0

    def _generator(self):
        r = self.recipe
        return reference.ResNetGenerator(r.ngf, r.num_blocks, r.upsample)

    def _discriminator(self):
        return reference.PatchDiscriminator(self.recipe.ndf, self.recipe.num_layers)

    def _optimizer(self, family, learning_rate):
        networks = [n for k, n in self.networks.items() if k.startswith(family)]
        params = [p for n in networks for p in n.parameters()]
        if self.recipe.optimizer == "sgd":
            return torch.optim.SGD(params, lr=learning_rate)
        betas = (self.recipe.beta1, self.recipe.beta2)
        return torch.optim.Adam(params, lr=learning_rate, betas=betas, eps=1e-8)

    def _set_learning_rates(self):
        epoch = self.step // self.recipe.steps_per_epoch + 1
        factor = decay_factor(epoch, self.recipe)
        for optimizer, rate in (
            (self.generator_optimizer, self.recipe.generator_lr),
            (self.discriminator_optimizer, self.recipe.discriminator_lr),
        ):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        return self.recipe.generator_lr * factor

    def _generator_update(self, a, b):
        a_to_b, b_to_a = (self.networks[f"generator/{d}"] for d in ("AtoB", "BtoA"))
        judge_a, judge_b = (self.networks[f"discriminator/{d}"] for d in "AB")
        self._freeze_discriminators(True)
        fake_b, fake_a = a_to_b(a), b_to_a(b)
        adversarial = towards(judge_b(fake_b), 1.0) + towards(judge_a(fake_a), 1.0)
        cycle = F.l1_loss(b_to_a(fake_b), a) + F.l1_loss(a_to_b(fake_a), b)
        identity = F.l1_loss(a_to_b(b), b) + F.l1_loss(b_to_a(a), a)
        cycle = self.recipe.cycle_weight * cycle
        identity = self.recipe.cycle_weight * self.recipe.identity_weight * identity
        total = adversarial + cycle + identity
        self.generator_optimizer.zero_grad()
        total.backward()
        self._freeze_discriminators(False)
        self.generator_optimizer.step()
        metrics = {
            "generator/total": total,
            "generator/adversarial": adversarial,
            "generator/cycle": cycle,
            "generator/identity": identity,
        }
        return fake_a.detach(), fake_b.detach(), metrics

    def _freeze_discriminators(self, frozen):
        """While the generators learn, nobody needs the gradients of their judges."""
        for d in "AB":
            self.networks[f"discriminator/{d}"].requires_grad_(not frozen)

    def _discriminator_update(self, real, fake, decisions):
        self.discriminator_optimizer.zero_grad()
        metrics = {}
        for d in "ab":
            judge = self.networks[f"discriminator/{d.upper()}"]
            shown = self.pools[d].query(fake[d], *decisions[d])
            loss = 0.5 * (towards(judge(real[d]), 1.0) + towards(judge(shown), 0.0))
            loss.backward()
            metrics[f"discriminator/{d}"] = loss
        self.discriminator_optimizer.step()
        metrics["discriminator/total"] = sum(metrics.values())
        return metrics

    def _gradient_norm(self, family):
        squares = [
            p.grad.square().sum()
            for name, network in self.networks.items()
            if name.startswith(family)
            for p in network.parameters()
        ]
        return torch.stack(squares).sum().sqrt()

    def update(self, a, b, decisions):
        """The losses of one update on signed `b c h w` batches `a` and `b`.

        Cycle and identity are reported with their weights, as they enter the total.
        `decisions[d]` is the pair (swap, index) for the pool of fakes of domain `d`.
        The gradient norm of the generators is taken before the discriminators' pass,
        which adds to it.
        """
        rate = self._set_learning_rates()
        fake_a, fake_b, metrics = self._generator_update(a, b)
        metrics["norm/generator_gradient"] = self._gradient_norm("generator")
        fakes, reals = {"a": fake_a, "b": fake_b}, {"a": a, "b": b}
        metrics |= self._discriminator_update(reals, fakes, decisions)
        metrics["norm/discriminator_gradient"] = self._gradient_norm("discriminator")
        self.step += 1
        return {k: float(v.detach()) for k, v in metrics.items()} | {
            "learning_rate": rate
        }

    def leaves(self):
        """All parameters under our names: `generator/AtoB/stem/kernel` ..."""
        return {
            f"{name}/{key}": leaf
            for name, network in self.networks.items()
            for key, leaf in reference.flax_leaves(network).items()
        }

    def load_leaves(self, leaves):
        """None; all parameters are replaced by `leaves` (as of `leaves()`)."""
        for name, network in self.networks.items():
            prefix = f"{name}/"
            own = {
                k.removeprefix(prefix): v
                for k, v in leaves.items()
                if k.startswith(prefix)
            }
            reference.load_flax_leaves(network, own)

    def moments(self):
        """Adam's running means of gradients and squared gradients, by our names."""
        found = {}
        for kind, key in (("mean", "exp_avg"), ("square", "exp_avg_sq")):
            for name, network in self.networks.items():
                family = name.split("/")[0]
                state = getattr(self, f"{family}_optimizer").state
                values = {p: state[p][key] for p in network.parameters()}
                leaves = reference.flax_leaves(network, values)
                found |= {f"{kind}/{name}/{k}": v for k, v in leaves.items()}
        return found
