"""The model file: what is kept, what is cut, what is refused."""
