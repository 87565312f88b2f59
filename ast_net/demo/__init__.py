"""A data set made up in full: recordings of a warped portrait and what simulated raters say of them."""
