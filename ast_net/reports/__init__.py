"""Tables and figures: evaluation (section 4.2), data sets, raters, expressions, reproduction."""
