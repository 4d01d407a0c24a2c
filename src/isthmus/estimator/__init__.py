"""The scikit-learn face of every variant."""
