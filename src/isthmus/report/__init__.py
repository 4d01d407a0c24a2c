"""The report: facts → figures → one HTML file. It draws what was measured and computes nothing but the layout."""
