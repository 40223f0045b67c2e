"""The code that runs inside the sandbox, next to student code; no module outside imports it."""
