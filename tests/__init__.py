"""The tests; helpers that several folders share stand here."""
