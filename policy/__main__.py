"""The policy pack, as the engine starts it: every rule, mandatory unless the configuration of the pack says otherwise."""

from policy.pack import serve
from policy.rules import RULES

serve(RULES)
