# The settings of graphite-web.
import os

import whitenoise

# graphite-web asks whitenoise for its version to know how to load it, but
# whitenoise 6 has no __version__ any more: taken for an ancient one, it fails,
# and without it the pages come without style sheets and scripts.
if not hasattr(whitenoise, '__version__'):
    whitenoise.__version__ = '6.0.0'

from graphite.app_settings import *  # noqa: E402, F401, F403

# The style sheets and scripts: a copy of the distribution's, which up mends.
STATIC_ROOT = '@WORK@/storage/static'

# The dashboard page looks for its theme where the distribution has nothing, and
# says "Invalid theme". This lets it look where the theme is.
STATICFILES_FINDERS = ['django.contrib.staticfiles.finders.DefaultStorageFinder']
MEDIA_ROOT = '/usr/share/graphite-web/static'

# Signs the cookies; made once for each work directory.
with open('@WORK@/storage/secret_key') as f:
    SECRET_KEY = f.read().strip()

# Only by loopback's names, so that a web page elsewhere cannot have its own
# name point here and read the answers.
ALLOWED_HOSTS = ['127.0.0.1', 'localhost', '[::1]']

# Graphs carry the machine's time, which is the one on the reader's clock.
TIME_ZONE = os.path.realpath('/etc/localtime').partition('/zoneinfo/')[2] or 'UTC'

STORAGE_DIR = '@WORK@/storage'
WHISPER_DIR = '@WORK@/storage/whisper'
CONF_DIR = '@WORK@/conf'
LOG_DIR = '@WORK@/log'

# To gunicorn's log, so that there is one file to look into.
LOG_FILE_INFO = LOG_FILE_EXCEPTION = LOG_FILE_CACHE = LOG_FILE_RENDERING = '-'
LOG_INFO_PERFORMANCE = False

# Carbon has the last seconds' points in memory.
CARBONLINK_HOSTS = ['127.0.0.1:@CARBON_QUERY_PORT@']
