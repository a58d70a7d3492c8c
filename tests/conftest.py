"""One thread for the linear algebra of the tests: their matrices are small, and threads that wait for each other spin."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
