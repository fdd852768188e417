"""Which requests fail, and how.

A plan is JSON: {"every": N} fails each N-th request, {"at": [3, 7]} the
third and the seventh, counted from when the plan was set; "from" and "count"
bound them; "match" (a regular expression on "METHOD target") says which
requests are counted at all. "kind" is one of these, or a list of them that
are taken in turn:

  400 ... 599   this status; nothing was done; with "+S" a Retry-After
  reset         the connection is reset, nothing was done
  flip-in       one bit of the request's body is another when it arrives
  early         it is reset in the middle of the request's body
  stall         no answer ever (with "+S": S seconds, then a reset), nothing
                was done
  lost          it is done, then the connection is reset
  lost-500      it is done, the answer is 500
  lost-stall    it is done, no answer ever
  cut           it is done, the answer ends in the middle
  stall-body    it is done, the answer stops in the middle
  empty         200 without a body or an ETag, nothing was done
  error-200     200 with an error in the body, nothing was done
  lie-etag      it is done, the answer has another ETag
  lie-length    it is done, the answer says it is one byte shorter
  flip          it is done, one bit of the answer's body is another
"""

import re
import threading

KINDS = {"reset", "early", "stall", "lost", "lost-500", "lost-stall", "cut",
         "stall-body", "empty", "error-200", "lie-etag", "lie-length", "flip",
         "flip-in"} | {str(status) for status in range(400, 600)}


class Plan:
    def __init__(self, plan):
        unknown = set(plan) - {"every", "at", "from", "count", "match", "kind"}
        kinds = plan.get("kind", "503")
        self.kinds = kinds if isinstance(kinds, list) else [kinds]
        for kind in self.kinds:
            if kind.split("+")[0] not in KINDS:
                unknown.add(kind)
        if unknown:
            raise ValueError(f"unknown: {unknown}")
        self.every = plan.get("every", 0)
        self.at = set(plan.get("at", []))
        self.start = plan.get("from", 1)
        self.left = plan.get("count", -1)
        self.match = re.compile(plan.get("match", ""))
        self.seen = self.done = 0
        self.lock = threading.Lock()

    def next(self, method, target):
        """The kind of failure of this request, or None."""
        with self.lock:
            if not self.match.search(f"{method} {target}"):
                return None
            self.seen += 1
            n = self.seen - self.start + 1
            hit = self.seen in self.at or (
                self.every > 0 and n > 0 and n % self.every == 0)
            if not hit or self.left == 0:
                return None
            self.left -= 1
            self.done += 1
            return self.kinds[(self.done - 1) % len(self.kinds)]
