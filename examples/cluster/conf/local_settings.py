# The settings of graphite-web: those of examples/graphite, and both caches.
from graphite_settings import *  # noqa: F401, F403

# The files of both. On two hosts each has a graphite-web of its own, and a third
# one has their addresses in CLUSTER_SERVERS instead.
STANDARD_DIRS = ['@WORK@/storage/a/whisper', '@WORK@/storage/b/whisper']

# The points that are not in the files yet. The same instances in the same order
# as in relay.conf, or the wrong cache is asked and the newest seconds are missing.
CARBONLINK_HOSTS = [
    '127.0.0.1:@CARBON_A_QUERY_PORT@:a',
    '127.0.0.1:@CARBON_B_QUERY_PORT@:b',
]
CARBONLINK_HASHING_TYPE = 'carbon_ch'
# Stock graphite-web does not ask a cache again for 15 s once it was not there.
CARBONLINK_RETRY_DELAY = 1
