"""Halving the pieces of a path that do not add up, until the whole does."""

from stylejax.explain.paths import Piece, StraightPath


def refine(
    path: StraightPath, pieces: list[Piece], *, allowed: float, max_steps: int
) -> tuple[list[Piece], bool]:
    """The pieces of a path, halved where they do not add up.

    The integral over a piece must equal the change of the function between its ends,
    which is known: so each piece has its own error, and those that add up are kept.

    Args:
      path: the path.
      pieces: what is known so far.
      allowed: where to stop: neither the whole nor any piece has a larger error.
      max_steps: nodes of all pieces together at which to stop.

    Returns:
      The pieces in order, and whether `allowed` was met.
    """
    while True:
        errors = [abs(piece.error) for piece in pieces]
        net = abs(sum(piece.error for piece in pieces))
        if max(net, *errors) <= allowed:
            return pieces, True
        worst = max(errors)
        room = (max_steps - sum(piece.num_steps for piece in pieces)) // min(
            piece.num_steps for piece in pieces
        )
        if room < 1:
            return pieces, False
        chosen = sorted(range(len(pieces)), key=errors.__getitem__)[::-1][:room]
        halved = {i for i in chosen if errors[i] >= worst / 4}
        pieces = [
            part
            for i, piece in enumerate(pieces)
            for part in (_halves(path, piece) if i in halved else [piece])
        ]


def _halves(path: StraightPath, piece: Piece) -> list[Piece]:
    middle = (piece.start + piece.stop) / 2
    value = path.value_at(middle)
    return [
        path.piece(
            piece.start,
            middle,
            values=(piece.values[0], value),
            num_steps=piece.num_steps,
        ),
        path.piece(
            middle,
            piece.stop,
            values=(value, piece.values[1]),
            num_steps=piece.num_steps,
        ),
    ]
