"""A thread beside the server's that does what the requests ask of it: a job that feeds a page.

It does its work the moment it is asked, and the request waits for it: what would be a matter of
intervals in a real job is none of time here.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from flask import Flask

from freshledger.diagnosis import copies
from freshledger.diagnosis.flask_site import FlaskSite, write_contact

_T = TypeVar("_T")
_Work = Callable[[], None]


class Job:
    """A thread inside an application context of the app: one for each piece of work, or one."""

    def __init__(self, app: Flask, *, context_for_each: bool) -> None:
        self._asked: SimpleQueue[_Work] = SimpleQueue()
        self._app = app
        run = self._run_each_in_its_own if context_for_each else self._run_all_in_one
        threading.Thread(target=run, name="job", daemon=True).start()

    def do(self, work: Callable[[], _T]) -> _T:
        """Have the thread do something; returns what it returns."""
        done: SimpleQueue[_T] = SimpleQueue()
        heard = copies.heard()

        def heard_work() -> None:
            copies.hear_for(heard)
            done.put(work())

        self._asked.put(heard_work)
        return done.get(timeout=20)

    def feed(self, site: FlaskSite) -> None:
        """Have the site's page be what this job reads: "same" is a function that it carries out."""
        site.reading = lambda: self.do(site.db.session)
        site.same = lambda: self.do(lambda: write_contact(site.db.session))

    def _run_each_in_its_own(self) -> None:
        while True:
            work = self._asked.get()
            with self._app.app_context():
                work()

    def _run_all_in_one(self) -> None:
        with self._app.app_context():
            while True:
                self._asked.get()()
