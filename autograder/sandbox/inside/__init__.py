"""What runs inside the sandbox, next to student code; nothing outside imports it."""
