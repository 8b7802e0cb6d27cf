"""Networks that train, or read with trained weights, beside PyTorch: demonstrations, each with its pictures."""
