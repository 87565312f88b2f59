"""Data set readers: recordings on disk, their ratings and their gold standard (section 4.1)."""
