"""How good a search is: metrics, runs and their figures."""
