"""The scripts here need PyTorch, which the tests do without: nothing to collect."""

collect_ignore_glob = ["*.py"]
