"""Student code in a sandbox: `Sandbox` starts processes that run cells and answer questions."""
