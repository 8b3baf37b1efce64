"""Curvature: the second derivatives of a mean loss, without ever writing down the Hessian but for small models."""
