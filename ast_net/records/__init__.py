"""The store: recordings as TFRecords, and the clips cut from them (section 4.1 of the paper)."""
