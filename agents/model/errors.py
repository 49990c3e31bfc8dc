"""
What can go wrong when a model is asked.

Exception
└── NoReply    no attempt brought a reply that can be read further
"""

from agents.model.api import Verdict


class NoReply(Exception):
    """
    No attempt brought a reply; the message is one line without a key in it.

    Attributes:
        verdict: of the last attempt. detail: the fault in one line, in our words; what the server wrote is not in it.
    """

    def __init__(self, verdict: Verdict, detail: str) -> None:
        super().__init__(f"{verdict}: {detail}" if detail else verdict)
        self.verdict: Verdict = verdict
        self.detail = detail
