"""Recurring revenue: amounts a month, why they moved, and what follows from them."""
