"""Events and what they amount to: activity, retention, funnels, revenue."""
