"""The mathematics of data themselves: copies, conflicting and doubtful labels, shift, inputs that do not fit."""
