"""Gradient descent on a noisy valley; prints the value reached."""

import argparse
import os
import random

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, required=True)
parser.add_argument("--steps", type=int, required=True)
parser.add_argument("--schedule", choices=["constant", "exponential"], required=True)
parser.add_argument("--decay", type=float, default=1.0)
options = parser.parse_args()

noise = random.Random(int(os.environ.get("REVERIE_SEED", "0")))
x, y, rate = 2.0, -1.5, options.rate
for step in range(options.steps):
    x, y = (
        x - rate * (2.0 * x + noise.gauss(0.0, 0.3)),
        y - rate * (20.0 * y + noise.gauss(0.0, 0.3)),
    )
    x, y = max(-10.0, min(10.0, x)), max(-10.0, min(10.0, y))
    rate *= options.decay
    if step % 50 == 0:
        print(f"step {step}: {x:.4f} {y:.4f}")
print(x * x + 10.0 * y * y)
