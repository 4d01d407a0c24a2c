"""Tables: every column as whole numbers, coded one after another, each knowing those before it."""
