"""Images: every pixel foretold from those before it."""
