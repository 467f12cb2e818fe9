"""Reports: pages, tables and plots that compare the rows of `edge-passd bench`."""
