"""A `Sandbox` starts student processes, which run cells and answer questions about them."""
