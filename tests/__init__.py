"""The tests; helpers that several folders share stand here."""

import os

# As many test processes run as there are cores, and the matrices are small: threads of BLAS that
# wait for each other would cost several times what is computed. It is read when numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
