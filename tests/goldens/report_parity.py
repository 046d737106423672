"""Print how far `stylejax` is from the PyTorch reference, figure by figure.

    python -m tests.goldens.report_parity

Needs no PyTorch: the reference's answers are in `networks.npz` and `steps.npz`.
"""

from tests.goldens import network_parity, step_parity


def main():
    for name in network_parity.FULL_SIZE:
        print(f"parameters  {name:20} {network_parity.count_parameters(name)}")
    for name in network_parity.NETWORKS:
        for key, error in network_parity.measure_network(name).items():
            print(f"network     {name:20} {key:24} {error:.2e}")
    for name in step_parity.STEPS:
        for key, errors in step_parity.measure_step(name).items():
            if not isinstance(errors, dict):
                print(f"step        {name:20} {key:24} {errors:.2e}")
                continue
            worst = max(errors, key=errors.get)
            print(f"step        {name:20} {key:24} {errors[worst]:.2e}  at {worst}")
    moments = step_parity.measure_moments()
    worst = max(moments, key=moments.get)
    label = f"{'adam_batch_2_resize':20} {'moments':24}"
    print(f"step        {label} {moments[worst]:.2e}  at {worst}")


if __name__ == "__main__":
    main()
