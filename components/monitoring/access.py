"""How a part signs in to Elasticsearch."""

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, kw_only=True)
class ElasticsearchAccess:
    """One user of Elasticsearch, and what it takes to reach it over TLS."""

    url: str
    """Such as `https://elasticsearch.monitoring.svc:9200`."""
    ca: pulumi.Output[str]
    """The certificate of the authority that signed Elasticsearch's own, in PEM; nothing secret."""
    user: str
    password: pulumi.Output[str]
    """A secret."""
