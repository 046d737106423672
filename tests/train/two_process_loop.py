"""One of two processes that train together; the runs of test_loop.py.

    python -m tests.train.two_process_loop PROCESS PORT WORKDIR NUM_STEPS KILLED_AT

At batch KILLED_AT (0: never) process 1 sends itself SIGTERM, as a scheduler would.
"""

import functools
import os
import pathlib
import signal
import sys
import time

import jax

from stylejax.train import loop, parallel
from stylejax.train.checkpoint import Checkpointer
from stylejax.train.writers import default_writer
from tests.train import toy


class Share(toy.Iterator):
    """This process's two rows of every batch of four."""

    def __next__(self):
        index = jax.process_index()
        batch = super().__next__()
        return {name: rows[2 * index : 2 * index + 2] for name, rows in batch.items()}


def main(process, port, workdir, num_steps, killed_at):
    """Joins, trains and prints step and reason."""
    parallel.initialize_distributed(
        coordinator=f"localhost:{port}", num_processes=2, process_id=process
    )

    def on_next(position):
        if position == killed_at and process == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        if 0 < killed_at <= position:
            # The notifier looks once a second; quicker steps would be over by then.
            time.sleep(0.5)

    mesh = parallel.data_mesh()
    writer = default_writer(workdir, process_index=process)
    with Checkpointer(
        workdir / "checkpoints", max_to_keep=2, on_report=writer.write_message
    ) as checkpointer:
        result = loop.run(
            parallel.replicate(toy.init(), mesh),
            parallel.jit_step(toy.step.__wrapped__, mesh),
            Share(on_next=on_next),
            config=loop.LoopConfig(
                num_steps=num_steps, log_every=1, checkpoint_every=4, max_minutes=9.0
            ),
            config_dict={},
            workdir=workdir,
            checkpointer=checkpointer,
            writer=writer,
            place_batch=functools.partial(parallel.place_batch, mesh=mesh),
        )
    writer.close()
    print(result.step, result.reason, flush=True)


if __name__ == "__main__":
    main(
        int(sys.argv[1]),
        sys.argv[2],
        pathlib.Path(sys.argv[3]),
        int(sys.argv[4]),
        int(sys.argv[5]),
    )
