"""Questions about searches: two spaces compared, a proxy judged."""
