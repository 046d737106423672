"""Building blocks of networks: convolutions, norms, upsampling, initialisation."""
