"""What each kernel must compute, by arithmetic: arrays in, arrays out, on the emulated GPU."""
