"""Django's settings: connections stay open, one for each of gunicorn's threads."""

import os

from sqlalchemy import make_url

_url = make_url(os.environ["DATABASE_URL"])

SECRET_KEY = "measured"
ALLOWED_HOSTS = ("127.0.0.1",)
ROOT_URLCONF = "benchmarks.peers.django_app"
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ("rest_framework",)
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.database,
        "USER": _url.username,
        "PASSWORD": _url.password,
        "HOST": _url.query.get("host", _url.host),
        "PORT": _url.query.get("port", _url.port),
        "CONN_MAX_AGE": None,
    }
}
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}
