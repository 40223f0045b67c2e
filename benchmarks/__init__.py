"""Side-by-side measurements: ratios against a peer, interleaved in one run."""
