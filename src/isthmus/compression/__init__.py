"""Archives: rows to real bytes and back, bit for bit, on any machine (docs/format.md)."""
