"""The full-screen terminal of `lanman watch`: nothing of it, and no textual, is loaded before the screen starts."""
