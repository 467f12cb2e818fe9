"""What each operator must compute, by arithmetic: arrays in, arrays out, on whatever runs them."""
