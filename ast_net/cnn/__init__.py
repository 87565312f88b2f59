"""Aligned faces to fc6 features (section 3.2 of the paper)."""
