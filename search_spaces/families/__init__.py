"""One file per family: knobs, space, published networks."""
