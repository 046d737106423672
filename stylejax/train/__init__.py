"""The machinery that every training shares: state, checkpoints, loop, writers."""
