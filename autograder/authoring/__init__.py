"""For authors of exercises: the bank of answers, self-test, samples, skeletons, leak search."""
