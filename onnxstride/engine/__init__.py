"""Runs rules over models: which files, which sizes, and what comes of each."""
