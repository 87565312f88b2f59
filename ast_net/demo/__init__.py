"""A data set made up in full: a warped portrait's recordings and what simulated raters say."""
