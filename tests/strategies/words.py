"""The small vocabularies that random policies, farms and requests have in common, so that they meet."""

USERS = ("ann", "bob", "cid")
GROUPS = ("alice", "cms", "guest")
PROJECTS = ("p1", "p2")
ROLES = ("ops", "trial")
TAGS = ("fast", "night")
QUEUES = ("long", "short")
ACCOUNTS = ("acc1", "acc2")
IMAGES = ("sl6", "sl7")
KINDS = ("job", "vmjob", "vm", "pool")
ORIGINS = ("local", "grid", "cloud")
PROPERTIES = ("ssd", "ib")
NODE_NAMES = ("a1", "a2", "a10", "b1", "b2", "gpu1")
NODE_GROUPS = {"a": '"a*"', "b": '"b*"', "g": '"gpu*"', "s": 'with "ssd"', "i": 'with "ib"', "one": '"a1"'}
NODE_PATTERNS = ("a*", "b?", "gpu*", "a1", "*1")
