"""What explains a lookup, as the desk declares it: documents over the reference records, compiled to one quick question.

The idea: D. Fabbri, K. LeFevre, "Explanation-based auditing", PVLDB 5(1), 2011. An ordinary access has a reason that is in
the data already (a case, a dispatch, a colleague's request); what is left without one is what people should look at. Each
explanation has a strength from 0 to 1, as a weak one (on shift, in one's own area) is worth seeing but explains nothing by
itself: together, explanations of strengths s explain with 1 - ∏(1 - s), and from :data:`ENOUGH` on the lookup is explained.
"""

from monitor.explanations.ask import ENOUGH, NONE, Asked, Explanations, Neighbours, explain_later, join, with_none
from monitor.explanations.model import PLAUSIBLE, RECORD, Explanation
from monitor.explanations.parse import is_explanation, parse_explanation, parse_explanations

__all__ = [
    "ENOUGH",
    "NONE",
    "PLAUSIBLE",
    "RECORD",
    "Asked",
    "Explanation",
    "Explanations",
    "Neighbours",
    "explain_later",
    "is_explanation",
    "join",
    "parse_explanation",
    "parse_explanations",
    "with_none",
]
