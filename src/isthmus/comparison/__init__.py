"""The main job: several models at several sizes on one data set, measured on held-out rows, and which to use."""
