"""Controlled experiments on learning; nothing imports them."""
