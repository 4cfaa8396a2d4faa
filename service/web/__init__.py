"""The live page: plain modules for the browser, nothing loaded from elsewhere."""
