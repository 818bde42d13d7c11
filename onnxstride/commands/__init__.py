"""The commands that are too long for ``cli``, one module each; every one parses and prints."""
