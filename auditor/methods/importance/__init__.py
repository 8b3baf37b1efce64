"""Which parameters carry the model: their importance, how unequal it is, and what their removal does."""
