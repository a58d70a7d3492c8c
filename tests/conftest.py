"""One thread for the linear algebra of the tests: their matrices are small, and waiting threads spin."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
