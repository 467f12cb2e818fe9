"""Int8: the scheme, the grids that values are rounded to, calibration and sensitivity."""
