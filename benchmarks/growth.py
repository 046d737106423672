"""Memory and arithmetic of the CycleGAN train step, and what a pod would make of it.

    python -m benchmarks.growth
    python -m benchmarks.growth --chip=v5e:2x4 --chip_batch=8    # needs libtpu, no TPU

No step is run: XLA says of the compiled step what memory it sets aside (arguments,
temporaries, and outputs that are not donated) and how many operations it counts. All of
that is for the CPU, in the forms of `stylejax.nn.conv_choice`; plain arithmetic is
counted in XLA's own convolutions and checked against a closed form. Eight fake devices
say what a step over several sends. The rest is arithmetic, with a vendor's public
figures and an assumed utilisation: times of a pod are predicted, not measured.
With `--chip` XLA compiles for that TPU instead, which takes ten minutes on one core;
what it said stays in the JSON file when the rest is made again. Prints tables.
"""

import dataclasses
import functools
import itertools
import json
import math
import os
import re
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.data import sources
from stylejax.data.pipeline import PipelineConfig, Sampler
from stylejax.image import files
from stylejax.methods import cyclegan
from stylejax.models import patch_discriminator
from stylejax.nn import conv_choice
from stylejax.train import parallel
from stylejax.train.protocol import environment

_SIDES = flags.DEFINE_multi_integer("sides", [64, 128, 256, 384, 512], "In pixels.")
_SIDE = flags.DEFINE_integer("side", 256, "Side of what is counted and scaled.")
_NGF = flags.DEFINE_integer("ngf", 64, "Channels of generator and discriminator.")
_BLOCKS = flags.DEFINE_integer("blocks", 9, "Residual blocks.")
_CHIP = flags.DEFINE_string("chip", "", "A TPU topology to compile for, and no more.")
_CHIP_BATCH = flags.DEFINE_integer("chip_batch", 8, "Pictures a chip of it.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/growth.json", "JSON file.")

COMMAND = "python -m benchmarks.growth"
LIMITS = (8, 16)  # GiB
STEP = 32  # pixels between the squares that are tried
# The vendor's public figures, https://cloud.google.com/tpu/docs/v5e (2026-11).
CHIP = {
    "name": "TPU v5e",
    "flops": 197e12,  # bfloat16, a second
    "memory_bytes": 16e9,
    "memory_bandwidth": 819e9,
    "links_bandwidth": 200e9,  # 1,600 Gbit/s over the four links of a chip
    "chips_a_pod": 256,
    "pod_bandwidth": 800e9,  # 6,400 Gbit/s between pods, for a whole pod
    "chips_a_host": 8,
}
UTILISATION = 0.4  # assumed
EPOCHS, PICTURES = 200, 1334  # of the paper's training on horse2zebra
SIZES = {"f32": 4, "s32": 4, "u32": 4, "bf16": 2, "s8": 1, "pred": 1}
SENT = re.compile(r" = (.*?) (all-\w+|collective-permute|reduce-scatter)(?:-start)?\(")


def method_config(**changes):
    """The full CycleGAN, or what the flags make of it."""
    base = {"ngf": _NGF.value, "ndf": _NGF.value, "num_blocks": _BLOCKS.value}
    return cyclegan.CycleGANConfig(steps_per_epoch=1000, **base | changes)


def abstract_state(config):
    """Shapes of the training state: nothing is allocated."""
    return jax.eval_shape(lambda key: cyclegan.init(key, config), jax.random.key(0))


def lowered(config, batch, mesh=None):
    """The train step before XLA compiles it, on one device or over a mesh."""
    shape = (batch, config.image_size, config.image_size, 3)
    images = jax.ShapeDtypeStruct(shape, jnp.float32)
    step = cyclegan.make_train_step(config)
    jitted = parallel.jit_step(step, mesh) if mesh else jax.jit(step, donate_argnums=0)
    return jitted.lower(abstract_state(config), {"a": images, "b": images})


def with_plain_convolutions(fn):
    """What `fn` returns where convolutions are XLA's own."""
    os.environ[conv_choice.SWITCH] = "xla"
    try:
        return fn()
    finally:
        del os.environ[conv_choice.SWITCH]


def mib(compiled):
    """Memory of a compiled step."""
    memory = compiled.memory_analysis()
    used = memory.argument_size_in_bytes + memory.temp_size_in_bytes
    return (used + memory.output_size_in_bytes - memory.alias_size_in_bytes) / 2**20


def measure(side, batch=1, **changes):
    """A row: memory and counted operations of one configuration, compiled."""
    start = time.perf_counter()
    config = method_config(image_size=side, **changes)
    compiled = lowered(config, batch).compile()
    return {
        "side": side,
        "batch": batch,
        "dtype": config.dtype,
        "remat": config.remat,
        "parts": config.accumulate_steps,
        "mib": mib(compiled),
        # Of a loop over parts of a batch XLA counts one round.
        "gflop": compiled.cost_analysis()["flops"] / 1e9,
        "compile_s": time.perf_counter() - start,
    }


def memory_rows():
    """Rows of all cases."""
    side = _SIDE.value
    return [
        *(measure(side) for side in _SIDES.value),
        *(measure(side // 2, batch) for batch in (2, 4)),
        measure(side // 2, 4, accumulate_steps=4),
        measure(side, remat=True),
        measure(side, dtype="bfloat16"),
    ]


def largest_squares(few, many):
    """Rows: the largest square within each limit; tried where two sizes point to."""
    each = (many["mib"] - few["mib"]) / (many["side"] ** 2 - few["side"] ** 2)
    found = []
    for remat in (False, True):
        used = functools.cache(lambda n, remat=remat: measure(n, remat=remat)["mib"])
        for limit in LIMITS:
            room = limit * 2**10 - many["mib"]
            side = math.isqrt(int(many["side"] ** 2 + room / each)) // STEP * STEP
            while used(side) > limit * 2**10:
                side -= STEP
            while used(side + STEP) <= limit * 2**10:
                side += STEP
            row = {"remat": remat, "limit_gib": limit, "side": side}
            found.append(row | {"mib": used(side), "next_mib": used(side + STEP)})
    return found


def products(config):
    """Multiplications of a picture's way through each network, layer by layer."""
    side, width = config.image_size, config.ngf
    ends = side**2 * 49 * 3 * width
    generator = {"stem": ends, "head": ends}
    for i in range(2):
        # The enlarging layer has as many as the halving one that it mirrors.
        half = (side // 2 ** (i + 1)) ** 2 * 9 * 2 ** (2 * i + 1) * width**2
        generator |= {f"down_{i}": half, f"up_{1 - i}": half}
    generator["blocks"] = config.num_blocks * 2 * 9 * (side // 4 * 4 * width) ** 2
    judge, before = {}, 3
    *hidden, last = patch_discriminator.layers(config.num_layers)
    for i, (kernel, stride, padding) in enumerate([*hidden, last]):
        side = (side + 2 * padding - kernel) // stride + 1
        after = config.ndf * min(2**i, 8) if i < len(hidden) else 1
        judge[f"conv_{i}"] = side**2 * kernel**2 * before * after
        before = after
    return generator, judge


def step_flops(config):
    """Operations of a train step for one picture of each domain, closed form.

    Six passes of generators with both gradients, but none by real pictures; two of
    discriminators with gradients by their input alone, four by their parameters.
    """
    generator, judge = products(config)
    whole, judging = sum(generator.values()), sum(judge.values())
    generators = 6 * 3 * whole - 4 * generator["stem"]
    return 2 * (generators + 2 * 2 * judging + 4 * (3 * judging - judge["conv_0"]))


def arithmetic():
    """What a step computes, by closed form and by XLA before it compiles, and holds."""
    config = method_config(image_size=_SIDE.value)
    recomputing = dataclasses.replace(config, remat=True)
    counts = [
        with_plain_convolutions(functools.partial(lowered, each, 1)).cost_analysis()
        for each in (config, recomputing)
    ]
    state, image = abstract_state(config), 4 * _SIDE.value**2 * 3
    generators, judges = (
        sum(leaf.size for leaf in jax.tree.leaves(tree))
        for tree in (state.generator_params, state.discriminator_params)
    )
    return {
        "products": products(config),  # of the generator, of the discriminator
        "flops": step_flops(config),
        "flops_xla": counts[0]["flops"],
        "flops_xla_remat": counts[1]["flops"],
        "generators_bytes": 4 * generators,
        "gradient_bytes": 4 * (generators + judges),
        "fakes_bytes": 2 * image,  # a picture of each domain
        "pool_bytes": 2 * config.pool_size * image,
        "state_bytes": sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state)),
    }


def sent(text, side):
    """Bytes in the results of the collectives of a compiled step, by what they are."""
    found = {}
    for result, kind in SENT.findall(text):
        for dtype, shape in re.findall(r"(\w+)\[([\d,]*)\]", result):
            sizes = [int(n) for n in shape.split(",") if n]
            is_fakes = sizes.count(side) == 2 and sizes.count(3) == 1
            name = f"{kind} of pictures" if is_fakes else kind
            found[name] = found.get(name, 0) + math.prod(sizes) * SIZES[dtype]
    return found


def sent_by_devices():
    """Bytes of each kind for a picture a device, with XLA's convolutions and ours."""
    config, mesh = method_config(image_size=_SIDE.value), parallel.data_mesh()

    def compiled():
        return lowered(config, mesh.size, mesh).compile().as_text()

    texts = {"plain": with_plain_convolutions(compiled), "CPU forms": compiled()}
    return {name: sent(text, _SIDE.value) for name, text in texts.items()}


def compile_for_chip():
    """A row: the step compiled by XLA for a TPU that is not there."""
    from jax.experimental import topologies

    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # there is no TPU to be asked
    chips = topologies.get_topology_desc(_CHIP.value, platform="tpu").devices
    mesh = parallel.data_mesh(devices=chips)
    config = method_config(image_size=_SIDE.value, dtype="bfloat16")
    start = time.perf_counter()
    row = {"kind": chips[0].device_kind, "chips": mesh.size}
    row |= {"batch_a_chip": _CHIP_BATCH.value, "dtype": config.dtype}
    try:
        compiled = lowered(config, _CHIP_BATCH.value * mesh.size, mesh).compile()
    except jax.errors.JaxRuntimeError as error:  # more than its memory
        row["refused"] = " ".join(str(error).split())[:300]
    else:
        row |= {"mib": mib(compiled), "sent": sent(compiled.as_text(), _SIDE.value)}
        row["gflop"] = compiled.cost_analysis()["flops"] / 1e9
    return row | {"compile_s": time.perf_counter() - start, **environment()}


def pictures_a_second():
    """What one core decodes, resizes, crops and flips, in processor time."""
    side, count = _SIDE.value, 24
    noise = np.random.default_rng(0).random((count, side // 8, side // 8, 3))
    with tempfile.TemporaryDirectory() as folder:
        for i, image in enumerate(noise):
            files.write(f"{folder}/{i}.jpg", np.kron(image, np.ones((8, 8, 1))))
        source = sources.FolderSource(folder, cache_bytes=0)
        data = sources.TwoDomainDataset("jpg", source, source, source, source)
        sample = Sampler(data, PipelineConfig(image_size=side, cache_mb=0))
        sample(0)
        start = time.process_time()
        for i in range(count):
            sample(i)
        return 2 * count / (time.process_time() - start)


def predict(found, chips, batch):
    """A row of the pod: milliseconds of a step's parts, and how well it scales."""
    pods = max(1, chips // CHIP["chips_a_pod"])
    inside = chips // pods
    links, between = CHIP["links_bandwidth"], CHIP["pod_bandwidth"]
    compute = batch * found["flops"] / (CHIP["flops"] * UTILISATION)
    reduce = 2 * (inside - 1) / inside * found["gradient_bytes"] / links
    reduce += 2 * (pods - 1) / pods * found["gradient_bytes"] / between
    fakes = chips * batch * found["fakes_bytes"]  # all chips', on each for its pools
    gather = (chips - 1) / chips * fakes / links + (pods - 1) / pods * fakes / between
    # The pools take one picture after the other: two are read, two are written.
    pool = 4 * fakes / CHIP["memory_bandwidth"]
    overlapped = max(compute + pool, reduce + gather)
    epoch = max(1, PICTURES // (chips * batch))
    return {
        "chips": chips,
        "batch": batch,
        "compute_ms": 1e3 * compute,
        "reduce_ms": 1e3 * reduce,
        "gather_ms": 1e3 * gather,
        "pool_ms": 1e3 * pool,
        "gradients": compute / (compute + reduce),
        "gradients_hidden": compute / max(compute, reduce),
        "all": compute / (compute + reduce + gather + pool),
        "all_hidden": compute / overlapped,
        "fakes_gb": fakes / 1e9,
        "pictures_s_host": 2 * batch * CHIP["chips_a_host"] / overlapped,
        "steps": EPOCHS * epoch,
    }


def print_table(title, rows):
    """Prints rows of the same keys in Markdown."""
    print(f"\n{title}\n")
    for line in (rows[0], ["---"] * len(rows[0]), *(row.values() for row in rows)):
        cells = (f"{x:,.4g}" if isinstance(x, float) else str(x) for x in line)
        print(f"| {' | '.join(cells)} |", flush=True)


def main(argv):
    """Returns 0 after the tables are printed and the JSON written."""
    refuse_arguments(argv)
    path = Path(_OUT.value)
    report = json.loads(path.read_text("utf-8")) if path.exists() else {}
    of_chip = report.pop("chip_compiled", [])
    if _CHIP.value:
        of_chip.append(compile_for_chip())
        print(json.dumps(of_chip[-1], indent=1))
    else:
        jax.config.update("jax_num_cpu_devices", 8)
        report = {"command": COMMAND, **environment()}
        report |= {flag.name: flag.value for flag in (_NGF, _BLOCKS, _SIDE)}
        report["memory"] = memory_rows()
        print_table("A train step compiled for a CPU", report["memory"])
        few, many = report["memory"][len(_SIDES.value) - 2 : len(_SIDES.value)]
        report["largest"] = largest_squares(few, many)
        print_table("Largest square, batch 1, on a CPU", report["largest"])
        counted = {"arithmetic": arithmetic(), "sent": sent_by_devices()}
        counted["pictures_a_second_a_core"] = pictures_a_second()
        print(f"\nCounted\n\n{json.dumps(counted, indent=1)}")
        cases = itertools.product((8, 64, 512), (1, 4, 8))
        report |= counted | {"chip": CHIP, "utilisation": UTILISATION}
        report["pod"] = [predict(counted["arithmetic"], *case) for case in cases]
        print_table(f"{CHIP['name']}, predicted at {UTILISATION:.0%}", report["pod"])
    report["chip_compiled"] = of_chip
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_app(main, keep_compiled=False)
