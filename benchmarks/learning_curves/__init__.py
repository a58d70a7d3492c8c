"""Epochs that early stopping with a model of learning curves saves, on YAHPO Gym's LCBench."""
