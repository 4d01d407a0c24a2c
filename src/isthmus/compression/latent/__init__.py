"""Rows through a fitted model: bits-back coding with its posterior, its prior and its likelihood."""
