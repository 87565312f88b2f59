"""Trains and evaluates models on records (sections 4.2 to 4.4 of the paper)."""
