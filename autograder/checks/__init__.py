"""Hidden tests: what a student's block must do, and the sentence for what it does not."""
