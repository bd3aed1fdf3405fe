"""The daemon: holds the site's requests, decides, and carries decisions out; with its clients."""
