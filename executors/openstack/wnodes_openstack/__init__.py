"""OpenStack as an executor: servers through Nova, images from Glance, ballast in Placement."""
