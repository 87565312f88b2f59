"""Records: recordings stored as TFRecords, and the clips cut from them (section 4.1)."""
