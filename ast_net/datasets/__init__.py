"""Data sets on disk: their readers, ratings and gold standard (section 4.1)."""
