"""Tables and figures: evaluation (section 4.2), description of a data set, raters, expressions."""
