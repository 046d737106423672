"""The command line `stylejax`: thin, one file per command."""
