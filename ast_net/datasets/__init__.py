"""What lies on disk: the readers of the data sets, their ratings and the gold standard (section 4.1)."""
