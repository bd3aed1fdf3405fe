"""A model of both schedulers, in which baits live through everything that can happen to them."""
