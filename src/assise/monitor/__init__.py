"""Monitor: how long things take, how often the cache answers, how full pools are."""
