"""How many epochs of training early stopping saves, on Fashion-MNIST, against others; see README.md in this folder."""
