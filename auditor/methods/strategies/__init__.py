"""The mathematics of the search for shortcuts: maps in groups, regions of fixed position, parts from other examples."""
