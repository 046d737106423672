"""Nine residual blocks written out, or compiled once and looped over (`lax.scan`).

    python -m benchmarks.scanned_blocks

Forward, and gradients by the input and all parameters, at the map of a 128 px picture.
Seconds of compilation of both, and the median over the rounds of the ratio of the
loop's time by the other's; both start from the same parameters and must agree. The
generators here write their blocks out: this says what that costs. Prints one table and
writes JSON.
"""

import json
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
from absl import flags

from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.models.resnet_generator import ResidualBlock
from stylejax.train.protocol import environment

_BLOCKS = flags.DEFINE_integer("blocks", 9, "Residual blocks.")
_CHANNELS = flags.DEFINE_integer("channels", 256, "Of each block.")
_SIDE = flags.DEFINE_integer("side", 32, "Of the feature map.")
_ROUNDS = flags.DEFINE_integer("rounds", 9, "Timed rounds, both in each.")
_OUT = flags.DEFINE_string(
    "out", "benchmarks/results/scanned_blocks.json", "JSON file."
)


def functions(block):
    """The chain of blocks in both ways, of parameters stacked along the first axis."""

    def unrolled(params, x):
        for i in range(_BLOCKS.value):
            x = block.apply(jax.tree.map(lambda leaf, i=i: leaf[i], params), x)
        return x

    def scanned(params, x):
        return jax.lax.scan(lambda x, p: (block.apply(p, x), None), x, params)[0]

    return {"unrolled": unrolled, "scanned": scanned}


def measure(what, both, arguments):
    """A row of the table."""
    compiled, row = {}, {"what": what}
    for name, fn in both.items():
        start = time.perf_counter()
        compiled[name] = jax.jit(fn).lower(*arguments).compile()
        row[f"{name}_compile_s"] = time.perf_counter() - start
    outputs = [jax.tree.leaves(fn(*arguments)) for fn in compiled.values()]
    row["difference"] = max(
        float(jnp.abs(a - b).max() / (jnp.abs(a).max() + 1e-30))
        for a, b in zip(*outputs, strict=True)
    )
    times = {name: [] for name in compiled}
    for _ in range(_ROUNDS.value):
        for name, fn in compiled.items():
            start = time.perf_counter()
            jax.block_until_ready(fn(*arguments))
            times[name].append(time.perf_counter() - start)
    pairs = zip(times["scanned"], times["unrolled"], strict=True)
    row |= {f"{name}_ms": 1e3 * statistics.median(t) for name, t in times.items()}
    row["ratio"] = statistics.median(a / b for a, b in pairs)
    print(
        "{what:16}{unrolled_compile_s:12.2f}{scanned_compile_s:9.2f}{unrolled_ms:13.1f}"
        "{scanned_ms:9.1f}{ratio:8.2f}{difference:10.1e}".format(**row),
        flush=True,
    )
    return row


def main(argv):
    """Returns 0 after the table is printed and the JSON written."""
    refuse_arguments(argv)
    block = ResidualBlock(_CHANNELS.value)
    x = jax.random.normal(
        jax.random.key(0), (1, _SIDE.value, _SIDE.value, _CHANNELS.value)
    )
    keys = jax.random.split(jax.random.key(1), _BLOCKS.value)
    params = jax.jit(jax.vmap(lambda key: block.init(key, x)))(keys)
    both = functions(block)
    print("what            compile s: unrolled  scanned   ms: unrolled  scanned  ratio")
    rows = [measure("forward", both, (params, x))]
    gradients = {
        name: jax.grad(lambda p, x, fn=fn: (fn(p, x) ** 2).mean(), argnums=(0, 1))
        for name, fn in both.items()
    }
    rows.append(measure("with gradients", gradients, (params, x)))
    report = {"command": "python -m benchmarks.scanned_blocks", **environment()}
    report |= {"rounds": _ROUNDS.value, "rows": rows}
    Path(_OUT.value).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_app(main, keep_compiled=False)
